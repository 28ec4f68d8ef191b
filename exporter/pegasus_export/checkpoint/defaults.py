"""A checkpoint's generation settings as the runtime takes them: what has no effect is left out.

transformers reads a settings file more freely than the runtime does its options: a sampling setting
of any value while nothing is sampled, 1 for true, a list of one. Here each setting becomes what
`generate` makes of it. What would change tokens and is not offered stays, for
`unsupported_defaults` to name; nothing is offered by this module itself.
Source: transformers 5.23, GenerationConfig.validate and get_generation_mode, and generate's
_prepare_generated_length, _get_logits_processor, _get_stopping_criteria.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from pegasus_export.checkpoint.generation import GENERATION_KEYS
from pegasus_export.errors import CheckpointError
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.unsupported import unsupported_defaults
from pegasus_runtime.spelling import find_nearest

__all__ = ["Defaults", "clean_defaults"]

_OPTIONS: Final = frozenset(each.name for each in fields(GenerationOptions)) - {
    "seed",
    "eos_token_id",
}
_COUNTS: Final = (
    "num_beams",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "num_return_sequences",
    "top_k",
    "forced_bos_token_id",
)
_SAMPLING: Final = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "top_h",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
)
# How it computes, what it returns, and what needs an assistant model.
_NO_TOKENS: Final = (
    "assistant_confidence_threshold",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "cache_config",
    "compile_config",
    "continuous_batching_config",
    "disable_compile",
    "low_memory",
    "max_cache_len",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "prefill_chunk_size",
    "return_dict_in_generate",
    "speculation_type",
    "target_lookbehind",
    "use_cache",
)
_ARGUMENTS: Final = (
    "assistant_model",
    "logits_processor",
    "negative_prompt_attention_mask",
    "negative_prompt_ids",
    "prefix_allowed_tokens_fn",
    "stopping_criteria",
    "streamer",
    "synced_gpus",
)
# Modes of greedy search and of sampling, which transformers passes over where there are beams.
_WITHOUT_BEAMS: Final = ("assistant_early_exit", "dola_layers", "use_mtp")
_TOKEN_IDS: Final = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Settings under transformers' names, and notes on those that were left out or changed."""

    values: dict[str, Any]
    notes: tuple[str, ...]


def clean_defaults(
    generation: Mapping[str, object], *, vocab_size: int, max_positions: int
) -> Defaults:
    """What `generate` makes of the settings, without the token ids, which `token_ids` resolves.

    Raises: CheckpointError for what transformers itself refuses.
    """
    draft = _Draft(generation)
    _refuse_arguments(draft)
    _drop_unknown(draft)
    _unify_forms(draft)
    _set_strategy(draft)
    _drop_ineffective(draft)
    _drop_modes(draft)
    _clean_sampling(draft)
    _clean_lengths(draft, max_positions)
    _clean_tokens(draft, vocab_size)
    _check_options(draft)
    return Defaults(values=draft.values, notes=tuple(draft.notes))


class _Draft:
    """Settings on their way, and what is said about them."""

    def __init__(self, generation: Mapping[str, object]) -> None:
        self.values: dict[str, Any] = {
            name: value
            for name, value in generation.items()
            if value is not None and name not in _TOKEN_IDS
        }
        self.notes: list[str] = []

    def drop(self, name: str, why: str = "") -> None:
        """why: for settings that a user would look for later."""
        value = self.values.pop(name, None)
        if why and value is not None:
            self.notes.append(f"{name} {_show(value)} is left out: {why}")

    @property
    def samples(self) -> bool:
        return self.values.get("do_sample", False) is True

    @property
    def has_beams(self) -> bool:
        return bool(self.values.get("num_beams", 1) != 1)


def _refuse_arguments(draft: _Draft) -> None:
    for name in _ARGUMENTS:
        if name in draft.values:
            raise CheckpointError(
                f"{name} is among the generation settings, where transformers refuses it: "
                "remove it from generation_config.json"
            )


def _drop_unknown(draft: _Draft) -> None:
    for name in [name for name in draft.values if name not in GENERATION_KEYS]:
        near = find_nearest(name, GENERATION_KEYS)
        draft.drop(name, f"transformers has no such setting (near: {', '.join(near)})" * bool(near))


def _unify_forms(draft: _Draft) -> None:
    """Whole numbers from 4.0, and the token of a list of one."""
    values = draft.values
    forced = values.get("forced_bos_token_id")
    if isinstance(forced, list) and len(forced) == 1:
        values["forced_bos_token_id"] = forced[0]
    for name in _COUNTS:
        value = values.get(name)
        if isinstance(value, float) and value.is_integer():
            values[name] = int(value)
    match values.get("exponential_decay_length_penalty"):
        case [float(start), factor] if start.is_integer():
            values["exponential_decay_length_penalty"] = [int(start), factor]


def _set_strategy(draft: _Draft) -> None:
    """generate looks whether early_stopping is True, and whether do_sample is anything but 0."""
    values = draft.values
    early = values.get("early_stopping")
    if early is not None and early is not True and early != "never":
        if isinstance(early, list | dict) or early not in (0, 1):
            raise CheckpointError(
                f'early_stopping is {_show(early)}, expected true, false or "never": correct it '
                "in generation_config.json (or config.json)"
            )
        if early == 1:
            draft.notes.append(f"early_stopping {early} is false, as in transformers: not true")
        values["early_stopping"] = False
    if isinstance(values.get("do_sample"), int | float):
        values["do_sample"] = bool(values["do_sample"])


def _drop_ineffective(draft: _Draft) -> None:
    for name in _NO_TOKENS:
        draft.drop(name)
    draft.drop("max_time", "a summary has no time limit of its own; calls take timeout_s")
    values = draft.values
    if values.get("cache_implementation") != "quantized":
        draft.drop("cache_implementation")
    for name in ("remove_invalid_values", "renormalize_logits"):
        if values.get(name) is not True:
            draft.drop(name)
    for name in ("token_healing", "stop_strings", "is_assistant", "use_mtp"):
        if not values.get(name):
            draft.drop(name)
    if values.pop("is_assistant", False):
        raise CheckpointError(
            "is_assistant is true, and transformers generates nothing with it: remove it from "
            "generation_config.json (or config.json)"
        )


def _drop_modes(draft: _Draft) -> None:
    """Settings of other ways to search, where transformers goes by the ordinary one."""
    values = draft.values
    if draft.has_beams:
        for name in _WITHOUT_BEAMS:
            draft.drop(name, "it has no effect with beams")
    # Candidates from the source, of which those are kept that greedy search would have chosen.
    draft.drop("prompt_lookup_num_tokens", "it is for speed, and changes no token")
    top_k = values.get("top_k", 50)
    if not _above(values.get("penalty_alpha"), 0):
        draft.drop("penalty_alpha")
    elif draft.has_beams or draft.samples or not _above(top_k, 1):
        draft.drop("penalty_alpha", "it has no effect with beams, sampling or top_k 1")
    if not draft.has_beams or not _above(values.get("num_beam_groups"), 1):
        draft.drop("num_beam_groups")
    if "num_beam_groups" not in values:
        penalizes = bool(values.get("diversity_penalty"))
        draft.drop("diversity_penalty", "it has no effect without groups of beams" * penalizes)


def _clean_sampling(draft: _Draft) -> None:
    values = draft.values
    for name in _SAMPLING:
        if name not in values:
            continue
        if not draft.samples:
            # Kept for callers who ask for samples, if it can be.
            if name not in _OPTIONS or _problem(name, values[name]):
                neutral = name not in _OPTIONS and not unsupported_defaults({name: values[name]})
                draft.drop(name, "" if neutral else "nothing is sampled")
        elif name in ("top_p", "typical_p") and _above(values[name], 1):
            draft.drop(name)  # off, as in transformers
        elif name in ("epsilon_cutoff", "eta_cutoff") and not (
            _above(values[name], 0) and not _above(values[name], 1) and values[name] != 1
        ):
            draft.drop(name)


def _clean_lengths(draft: _Draft, max_positions: int) -> None:
    values = draft.values
    for name in ("min_length", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"):
        if _above(0, values.get(name)):
            draft.drop(name)
    if _above(0, values.get("min_new_tokens")):
        values["min_new_tokens"] = 0  # not left out: it wins over min_length
    if (
        not draft.has_beams
        and not draft.samples
        and not _above(values.get("num_return_sequences", 1), 0)
    ):
        draft.drop("num_return_sequences")
    for name, most in (("max_length", max_positions), ("max_new_tokens", max_positions - 1)):
        if _above(values.get(name), most):
            draft.notes.append(
                f"{name} {values[name]} becomes {most}: the model has {max_positions} positions"
            )
            values[name] = most


def _clean_tokens(draft: _Draft, vocab_size: int) -> None:
    """To suppress what is no token changes nothing."""
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        tokens = draft.values.get(name)
        if isinstance(tokens, Sequence) and all(isinstance(token, int) for token in tokens):
            draft.values[name] = [token for token in tokens if 0 <= token < vocab_size]
            if not draft.values[name]:
                draft.drop(name)


def _check_options(draft: _Draft) -> None:
    problems = [
        problem
        for name, value in sorted(draft.values.items())
        if name in _OPTIONS and (problem := _problem(name, value))
    ]
    if problems:
        raise CheckpointError(
            f"generation settings that cannot run: {'; '.join(problems)}: correct them in "
            "generation_config.json (or config.json)"
        )


def _problem(name: str, value: Any) -> str:
    """Why the runtime does not take it; "" if it does."""
    options: dict[str, Any] = {name: value}
    try:
        GenerationOptions(**options)
    except OptionsError as err:
        return str(err).partition(": correct it")[0]
    return ""


def _above(value: object, least: object) -> bool:
    """Whether both are numbers, and the first is the larger one."""
    numbers = int | float
    return isinstance(value, numbers) and isinstance(least, numbers) and value > least


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
