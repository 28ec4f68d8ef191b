"""Options, the bundle's defaults and Hugging Face's rules, resolved into concrete settings."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.defaults import SAMPLING_OPTIONS, effective_defaults
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import (
    Biases,
    SearchLimits,
    SearchSettings,
    SpecialTokens,
)
from pegasus_runtime.search.unsupported import unsupported_defaults
from pegasus_runtime.search.vocabulary import check_vocabulary

__all__ = ["resolve_for_manifest", "resolve_options"]

_DEFAULT_NEW_TOKENS = 20  # transformers: GenerationConfig._get_default_generation_params
_DEFAULT_TOP_K = 50
_NEUTRAL_FOR_SAMPLING = {
    "top_k": (0, _DEFAULT_TOP_K),
    "min_p": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
}
"""Besides 1, what a caller may say without sampling, as it is no request."""


def resolve_for_manifest(
    options: GenerationOptions, manifest: Manifest, *, continued_tokens: int = 0
) -> SearchSettings:
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
        continued_tokens=continued_tokens,
    )


def resolve_options(
    options: GenerationOptions,
    defaults: Mapping[str, object],
    tokens: SpecialTokens,
    limits: SearchLimits,
    *,
    continued_tokens: int = 0,
) -> SearchSettings:
    """Merges options over the checkpoint's generation config over transformers' own defaults.

    `defaults` has generation-config names; those without effect beside the options are ignored
    (see `effective_defaults`). continued_tokens: how many each document has, where rows continue
    it. Raises OptionsError for what cannot be met.
    """
    explicit = _explicit(options)
    if options.eos_token_id is not None:
        tokens = replace(tokens, eos=tuple(_listed(options.eos_token_id)))
    if continued_tokens and options.decoder_input_ids:
        raise OptionsError(
            "decoder_input_ids is how summaries begin, and this continues prompts: leave it out"
        )
    _check_not_overruled(explicit, defaults)
    merged = _merge(explicit, effective_defaults(defaults, explicit), limits)
    settings = _settings_from_options(merged, tokens, limits, continued_tokens)
    _check_offered(settings, defaults)
    _check_strategy(settings, options, limits)
    _check_lengths(settings, limits)
    check_vocabulary(settings, merged)
    return settings


def _explicit(options: GenerationOptions) -> dict[str, Any]:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def _merge(
    explicit: Mapping[str, Any], bundled: Mapping[str, Any], limits: SearchLimits
) -> GenerationOptions:
    # transformers looks for suppressed tokens in the vocabulary, where it does not find these.
    within = {
        name: _within(bundled[name], limits.vocab_size)
        for name in ("suppress_tokens", "begin_suppress_tokens")
        if name in bundled
    }
    try:
        return GenerationOptions(**{**bundled, **within, **explicit})
    except OptionsError as err:  # the caller's have been checked when they were made
        raise OptionsError(f"the bundle's generation defaults are unusable: {err}") from err


def _within(tokens: Any, vocab_size: int) -> Any:
    if not isinstance(tokens, Sequence) or not all(isinstance(token, int) for token in tokens):
        return tokens  # to be refused
    return [token for token in tokens if 0 <= token < vocab_size]


def _check_not_overruled(explicit: Mapping[str, Any], defaults: Mapping[str, object]) -> None:
    """transformers lets a default max_new_tokens beat the caller's max_length, with a warning."""
    for length, winner in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        default = defaults.get(winner)
        if length in explicit and default is not None and winner not in explicit:
            raise OptionsError(
                f"{length} {explicit[length]} would have no effect, the bundle's default {winner} "
                f"{default} wins over it: set {winner} instead"
            )


def _check_offered(settings: SearchSettings, defaults: Mapping[str, object]) -> None:
    """A default may be without effect in the checkpoint's own strategy, and not in this one."""
    strategy = {
        "num_beams": settings.num_beams,
        "do_sample": settings.do_sample,
        "top_k": settings.top_k if settings.do_sample else defaults.get("top_k"),
    }
    names = unsupported_defaults({**defaults, **strategy})
    if names:
        raise OptionsError(
            f"the checkpoint sets {', '.join(names)}, which num_beams {settings.num_beams} would "
            "bring into effect and this version does not offer: use the bundle's own num_beams, "
            "or export the checkpoint without it"
        )


def _settings_from_options(
    merged: GenerationOptions, tokens: SpecialTokens, limits: SearchLimits, continued_tokens: int
) -> SearchSettings:
    prompt = _prompt(merged.decoder_input_ids or (), tokens) if not continued_tokens else ()
    start = continued_tokens or len(prompt)
    max_length, min_length = _resolve_lengths(merged, start, limits)
    # A BOS is forced after one token alone.
    begin_length = start + (start == 1 and merged.forced_bos_token_id is not None)
    suppressed = set(merged.suppress_tokens or ())
    if begin_length == max_length - 1:
        suppressed |= set(merged.begin_suppress_tokens or ())
    forced_eos_ids = set(_listed(_value_or(merged.forced_eos_token_id, ())))
    decay = merged.exponential_decay_length_penalty
    return SearchSettings(
        prompt=prompt,
        continued_tokens=continued_tokens,
        num_beams=merged.num_beams or 1,
        max_length=max_length,
        min_length=min_length,
        length_penalty=float(_value_or(merged.length_penalty, 1.0)),
        early_stopping=_value_or(merged.early_stopping, False),
        no_repeat_ngram_size=merged.no_repeat_ngram_size or 0,
        encoder_no_repeat_ngram_size=merged.encoder_no_repeat_ngram_size or 0,
        repetition_penalty=float(merged.repetition_penalty or 1.0),
        encoder_repetition_penalty=float(merged.encoder_repetition_penalty or 1.0),
        sequence_bias=_biases(merged.sequence_bias or ()),
        exponential_decay=(start + int(decay[0]), float(decay[1])) if decay else None,
        remove_invalid_values=bool(merged.remove_invalid_values),
        renormalize_logits=bool(merged.renormalize_logits),
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
        min_p=float(merged.min_p or 0.0),
        top_h=merged.top_h,
        typical_p=float(_value_or(merged.typical_p, 1.0)),
        epsilon_cutoff=float(merged.epsilon_cutoff or 0.0),
        eta_cutoff=float(merged.eta_cutoff or 0.0),
        seed=merged.seed,
        token_scores=bool(merged.token_scores),
        tokens=tokens,
        vocab_size=limits.vocab_size,
    )


def _value_or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _listed(value: int | Sequence[int]) -> Sequence[int]:
    return value if isinstance(value, Sequence) else [value]


def _prompt(prefix: Sequence[int], tokens: SpecialTokens) -> tuple[int, ...]:
    """The start token and the prefix, which may begin with it."""
    ids = tuple(int(token) for token in prefix)
    return ids if ids[:1] == (tokens.decoder_start,) else (tokens.decoder_start, *ids)


def _biases(given: Mapping[tuple[int, ...], float] | Sequence[Sequence[Any]]) -> Biases:
    """Of a sequence that is given twice, the last bias counts."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple({tuple(ids): float(bias) for ids, bias in pairs}.items())


def _resolve_lengths(
    merged: GenerationOptions, prompt_length: int, limits: SearchLimits
) -> tuple[int, int]:
    """max_length and min_length, all that rows begin with included."""
    if merged.max_new_tokens is not None:
        max_length = prompt_length + merged.max_new_tokens
    elif merged.max_length is not None:
        max_length = merged.max_length
    else:
        max_length = min(prompt_length + _DEFAULT_NEW_TOKENS, limits.max_target_tokens)
    if merged.min_new_tokens is not None:
        return max_length, prompt_length + merged.min_new_tokens
    return max_length, merged.min_length or 0


def _check_strategy(
    settings: SearchSettings, options: GenerationOptions, limits: SearchLimits
) -> None:
    beams, returned = settings.num_beams, settings.num_return_sequences
    if beams > limits.max_beams:
        raise OptionsError(
            f"num_beams is {beams}, the bundle takes {limits.max_beams}: ask for fewer beams"
        )
    if beams > 1 and returned > beams:
        raise OptionsError(
            f"num_return_sequences is {returned}, expected at most num_beams {beams}: "
            "raise num_beams, or set do_sample=True with num_beams=1"
        )
    if beams == 1 and settings.do_sample and returned > limits.max_beams:
        raise OptionsError(
            f"num_return_sequences is {returned}, the bundle takes {limits.max_beams} samples per "
            "document: ask for fewer and call again with another seed"
        )
    if beams == 1 and not settings.do_sample and returned > 1:
        raise OptionsError(
            f"num_return_sequences is {returned}, expected at most num_beams {beams}: "
            "raise num_beams, or set do_sample=True"
        )
    if not settings.do_sample:
        for name in SAMPLING_OPTIONS:
            if getattr(options, name) not in (None, *_NEUTRAL_FOR_SAMPLING.get(name, (1,))):
                raise OptionsError(
                    f"{name} {getattr(options, name)} has no effect without sampling: "
                    f"set do_sample=True, or leave {name} out"
                )


def _check_lengths(settings: SearchSettings, limits: SearchLimits) -> None:
    start = "prompt" if settings.continued_tokens else "start token"
    if settings.max_length > limits.max_target_tokens:
        raise OptionsError(
            f"max_length is {settings.max_length} tokens with the {start}, the bundle takes "
            f"{limits.max_target_tokens}: lower max_length or max_new_tokens"
        )
    if settings.prompt_length >= settings.max_length:
        tokens = f"{settings.prompt_length} tokens"
        has = f"decoder_input_ids has {tokens} with the start token"
        if settings.continued_tokens:
            has = f"the prompt has {tokens}"
        raise OptionsError(
            f"{has}, max_length is {settings.max_length}: raise max_length, or set max_new_tokens"
        )
