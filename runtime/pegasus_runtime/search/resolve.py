"""Options, the bundle's defaults and Hugging Face's rules, resolved into concrete settings."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import (
    PROMPT_LENGTH,
    SearchLimits,
    SearchSettings,
    SpecialTokens,
)

__all__ = ["resolve_for_manifest", "resolve_options"]

_DEFAULT_NEW_TOKENS = 20  # transformers: GenerationConfig._get_default_generation_params
_DEFAULT_TOP_K = 50
_NEUTRAL_FOR_SAMPLING = {"temperature": (1,), "top_k": (0, _DEFAULT_TOP_K), "top_p": (1,)}


def resolve_for_manifest(options: GenerationOptions, manifest: Manifest) -> SearchSettings:
    """`resolve_options` with a bundle's defaults, special tokens and limits.

    Raises: OptionsError.
    """
    ids, limits = manifest.token_ids, manifest.limits
    return resolve_options(
        options,
        manifest.generation,
        SpecialTokens(
            pad=ids.pad_token_id, eos=ids.eos_token_ids, decoder_start=ids.decoder_start_token_id
        ),
        SearchLimits(
            max_target_tokens=limits.max_target_tokens,
            vocab_size=manifest.architecture.vocab_size,
            max_beams=limits.max_beams,
        ),
    )


def resolve_options(
    options: GenerationOptions,
    defaults: Mapping[str, object],
    tokens: SpecialTokens,
    limits: SearchLimits,
) -> SearchSettings:
    """Merges options over the checkpoint's generation config over transformers' own defaults.

    `defaults` has generation-config names; names that are no option are not looked at here (see
    `unsupported_defaults`). Raises OptionsError for what cannot be met.
    """
    bundled = _options_from_defaults(defaults)
    _check_not_overruled(options, bundled)
    merged = replace(bundled, **_explicit(options))
    settings = _settings_from_options(merged, tokens, limits)
    _check_strategy(settings, options, limits)
    _check_lengths(settings, limits)
    _check_vocabulary(settings, merged)
    return settings


def _explicit(options: GenerationOptions) -> dict[str, Any]:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def _options_from_defaults(defaults: Mapping[str, object]) -> GenerationOptions:
    names = {field.name for field in fields(GenerationOptions)} - {"seed"}
    values: dict[str, Any] = {name: defaults[name] for name in names if name in defaults}
    try:
        return GenerationOptions(**values)
    except OptionsError as err:
        raise OptionsError(f"the bundle's generation defaults are unusable: {err}") from err


def _check_not_overruled(options: GenerationOptions, bundled: GenerationOptions) -> None:
    """transformers lets a default max_new_tokens beat the caller's max_length, with a warning."""
    for length, winner in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        asked, default = getattr(options, length), getattr(bundled, winner)
        if asked is not None and default is not None and getattr(options, winner) is None:
            raise OptionsError(
                f"{length} {asked} would have no effect, the bundle's default {winner} {default} "
                f"wins over it: set {winner} instead"
            )


def _settings_from_options(
    merged: GenerationOptions, tokens: SpecialTokens, limits: SearchLimits
) -> SearchSettings:
    max_length, min_length = _resolve_lengths(merged, limits)
    begin_length = PROMPT_LENGTH + (merged.forced_bos_token_id is not None)
    suppressed = set(merged.suppress_tokens or ())
    if begin_length == max_length - 1:
        suppressed |= set(merged.begin_suppress_tokens or ())
    forced_eos = _value_or(merged.forced_eos_token_id, ())
    forced_eos_ids = set(forced_eos if isinstance(forced_eos, Sequence) else [forced_eos])
    return SearchSettings(
        num_beams=merged.num_beams or 1,
        max_length=max_length,
        min_length=min_length,
        length_penalty=float(_value_or(merged.length_penalty, 1.0)),
        early_stopping=_value_or(merged.early_stopping, False),
        no_repeat_ngram_size=merged.no_repeat_ngram_size or 0,
        encoder_no_repeat_ngram_size=merged.encoder_no_repeat_ngram_size or 0,
        repetition_penalty=float(merged.repetition_penalty or 1.0),
        bad_words_ids=tuple(
            tuple(word)
            for word in merged.bad_words_ids or ()
            if len(word) > 1 or word[0] not in tokens.eos
        ),
        suppress_tokens=tuple(merged.suppress_tokens or ()),
        begin_suppress_tokens=tuple(merged.begin_suppress_tokens or ()),
        begin_suppress_length=begin_length,
        forced_bos_token_id=merged.forced_bos_token_id,
        forced_eos_token_ids=tuple(sorted(forced_eos_ids - suppressed)),
        num_return_sequences=merged.num_return_sequences or 1,
        do_sample=bool(merged.do_sample),
        temperature=float(merged.temperature or 1.0),
        top_k=_value_or(merged.top_k, _DEFAULT_TOP_K),
        top_p=float(_value_or(merged.top_p, 1.0)),
        seed=merged.seed,
        tokens=tokens,
        vocab_size=limits.vocab_size,
    )


def _value_or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _resolve_lengths(merged: GenerationOptions, limits: SearchLimits) -> tuple[int, int]:
    """max_length and min_length, start token included."""
    if merged.max_new_tokens is not None:
        max_length = PROMPT_LENGTH + merged.max_new_tokens
    elif merged.max_length is not None:
        max_length = merged.max_length
    else:
        max_length = min(PROMPT_LENGTH + _DEFAULT_NEW_TOKENS, limits.max_target_tokens)
    if merged.min_new_tokens is not None:
        return max_length, PROMPT_LENGTH + merged.min_new_tokens
    return max_length, merged.min_length or 0


def _check_strategy(
    settings: SearchSettings, options: GenerationOptions, limits: SearchLimits
) -> None:
    beams, returned = settings.num_beams, settings.num_return_sequences
    if beams > limits.max_beams:
        raise OptionsError(
            f"num_beams is {beams}, the bundle takes {limits.max_beams}: ask for fewer beams"
        )
    if settings.do_sample and beams > 1:
        raise OptionsError(
            f"do_sample with num_beams {beams} is not offered: set num_beams=1 to sample, "
            "or do_sample=False to search"
        )
    if settings.do_sample and returned > limits.max_beams:
        raise OptionsError(
            f"num_return_sequences is {returned}, the bundle takes {limits.max_beams} samples per "
            "document: ask for fewer and call again with another seed"
        )
    if not settings.do_sample and returned > beams:
        raise OptionsError(
            f"num_return_sequences is {returned}, expected at most num_beams {beams}: "
            "raise num_beams, or set do_sample=True with num_beams=1"
        )
    if not settings.do_sample:
        for name, neutral in _NEUTRAL_FOR_SAMPLING.items():
            if getattr(options, name) not in (None, *neutral):
                raise OptionsError(
                    f"{name} {getattr(options, name)} has no effect without sampling: "
                    f"set do_sample=True with num_beams=1, or leave {name} out"
                )


def _check_lengths(settings: SearchSettings, limits: SearchLimits) -> None:
    if settings.max_length > limits.max_target_tokens:
        raise OptionsError(
            f"max_length is {settings.max_length} tokens with the start token, the bundle takes "
            f"{limits.max_target_tokens}: lower max_length or max_new_tokens"
        )
    if settings.min_length > settings.max_length:
        raise OptionsError(
            f"min_length {settings.min_length} exceeds max_length {settings.max_length} (both with "
            "the start token, given or from the bundle's defaults): lower one or raise the other"
        )


def _check_vocabulary(settings: SearchSettings, merged: GenerationOptions) -> None:
    tokens, vocab_size = settings.tokens, settings.vocab_size
    if vocab_size < max(2, 1 + len(tokens.eos)):
        raise OptionsError(
            f"the vocabulary has {vocab_size} tokens, expected more than the {len(tokens.eos)} "
            "that end a sequence and at least 2: check the bundle"
        )
    for name, ids in _named_tokens(settings).items():
        outside = [token for token in ids if not 0 <= token < vocab_size]
        if outside:
            raise OptionsError(
                f"{name} has token {outside[0]}, the vocabulary ends at {vocab_size - 1}: "
                "take ids from the bundle's tokenizer"
            )
    forced_bos = settings.forced_bos_token_id
    if forced_bos in settings.suppress_tokens:
        raise OptionsError(
            f"forced_bos_token_id {forced_bos} is in suppress_tokens: remove it from one of the two"
        )
    if merged.forced_eos_token_id not in (None, (), []) and not settings.forced_eos_token_ids:
        raise OptionsError(
            f"forced_eos_token_id {merged.forced_eos_token_id} is suppressed at max_length: remove "
            "it from suppress_tokens and begin_suppress_tokens, or use min_new_tokens to ban EOS"
        )


def _named_tokens(settings: SearchSettings) -> dict[str, tuple[int, ...]]:
    forced_bos = settings.forced_bos_token_id
    return {
        "pad": (settings.tokens.pad,),
        "eos": settings.tokens.eos,
        "decoder_start": (settings.tokens.decoder_start,),
        "bad_words_ids": tuple(token for word in settings.bad_words_ids for token in word),
        "suppress_tokens": settings.suppress_tokens,
        "begin_suppress_tokens": settings.begin_suppress_tokens,
        "forced_bos_token_id": () if forced_bos is None else (forced_bos,),
        "forced_eos_token_id": settings.forced_eos_token_ids,
    }
