"""What a bundle generates with when its caller says nothing, settled before anything is built."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.defaults import clean_defaults
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.checkpoint.task_params import (
    apply_task_params,
    list_task_params,
    pipeline_settings,
)
from pegasus_export.checkpoint.token_ids import resolve_token_ids
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.stages.try_defaults import try_settings
from pegasus_runtime.bundle import Limits, Task, TokenIds
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SearchSettings, SpecialTokens
from pegasus_runtime.search.unsupported import unsupported_defaults

__all__ = ["GENERATING", "SettledDefaults", "fit_defaults", "resolve_defaults", "settle_defaults"]

GENERATING: tuple[Task, ...] = ("summarization", "text-generation")
_SHORTEST: Final = 2  # tokens: one, and EOS
_LOG_NEVER: Final = math.log(1e9)
# Of config.json itself.
_USED_IDS: Final[Mapping[Task, tuple[str, ...]]] = {
    "question-answering": ("decoder_start_token_id",),
    "text-classification": ("decoder_start_token_id", "eos_token_id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledDefaults:
    """A checkpoint with the settings and token ids that generation goes by."""

    checkpoint: Checkpoint
    """Its `generation` is what the runtime takes; its config has the token ids of generation."""
    original: Mapping[str, object]
    """The settings as transformers reads them, the task's over them: for its own loaders."""
    tokens: TokenIds
    notes: tuple[str, ...]


def settle_defaults(
    checkpoint: Checkpoint, task: Task, *, task_params: str | None = None
) -> SettledDefaults:
    """Reads the settings by transformers' rules, and refuses what would change tokens.

    Raises: CheckpointError, UnsupportedError.
    """
    if task not in GENERATING:
        if task_params is not None:
            raise UnsupportedError(
                f"--task-params is for tasks that generate, this one is {task}: leave it out"
            )
        return _unchanged(checkpoint, task)
    config_fields = read_json_object(checkpoint.folder / "config.json")
    original: dict[str, object] = dict(checkpoint.generation)
    notes = list(checkpoint.config.notes)
    if task_params is not None:
        original, more = apply_task_params(original, config_fields, task_params)
        notes += more
    elif tasks := list_task_params(config_fields):
        notes.append(f"config.json has settings for tasks, --task-params: {', '.join(tasks)}")
    cleaned = clean_defaults(
        original,
        vocab_size=checkpoint.config.vocab_size,
        max_positions=checkpoint.config.max_position_embeddings,
    )
    _check_supported(checkpoint.name, cleaned.values)
    has_encoder = ARCHITECTURES[checkpoint.architecture].encoder
    start = config_fields.get("decoder_start_token_id") if has_encoder else 0
    ids = resolve_token_ids(original, checkpoint.config, start_of_config=start)
    config = dataclasses.replace(
        checkpoint.config,
        pad_token_id=ids.tokens.pad_token_id,
        # The network's own stands in where nothing ends a summary: sources still have an end.
        eos_token_ids=ids.tokens.eos_token_ids or checkpoint.config.eos_token_ids,
        decoder_start_token_id=ids.tokens.decoder_start_token_id,
    )
    return SettledDefaults(
        checkpoint=dataclasses.replace(
            checkpoint,
            config=config,
            generation={
                **pipeline_settings(config_fields),
                **cleaned.values,
                **_named(ids.tokens, original),
            },
        ),
        original=original,
        tokens=ids.tokens,
        notes=(*notes, *cleaned.notes, *(ids.notes if has_encoder else ())),
    )


def fit_defaults(
    settled: SettledDefaults, task: Task, limits: Limits, *, clip: bool
) -> dict[str, Any]:
    """The defaults within a bundle's limits, resolved and tried once, so that each bundle can run.

    clip: whether plans were asked for that hold less than the defaults. Raises: UnsupportedError.
    """
    checkpoint, tokens = settled.checkpoint, settled.tokens
    defaults = dict(checkpoint.generation)
    for name, most in (
        ("num_beams", limits.max_beams),
        ("max_length", limits.max_target_tokens),
        ("max_new_tokens", limits.max_target_tokens - 1),
    ):
        value = defaults.get(name)
        if clip and isinstance(value, int):
            defaults[name] = min(value, most)
    try:
        settings = resolve_defaults(
            defaults,
            tokens,
            limits,
            checkpoint.config.vocab_size,
            continued_tokens=int(task == "text-generation"),  # the shortest prompt
        )
        _check_length_penalty(checkpoint.name, settings)
        try_settings(settings)
    except OptionsError as err:
        raise UnsupportedError(
            f"{checkpoint.name} generates with settings that cannot run: {err}"
        ) from err
    return defaults


def resolve_defaults(
    defaults: Mapping[str, object],
    tokens: TokenIds,
    limits: Limits,
    vocab_size: int,
    *,
    continued_tokens: int = 0,
) -> SearchSettings:
    """What a bundle of these limits generates with. Raises: OptionsError."""
    return resolve_options(
        GenerationOptions(),
        defaults,
        SpecialTokens(
            pad=tokens.pad_token_id,
            eos=tokens.eos_token_ids,
            decoder_start=tokens.decoder_start_token_id,
        ),
        SearchLimits(
            max_target_tokens=limits.max_target_tokens,
            vocab_size=vocab_size,
            max_beams=limits.max_beams,
        ),
        continued_tokens=continued_tokens,
    )


def _check_length_penalty(name: str, settings: SearchSettings) -> None:
    """Where even the shortest summary scores less than beams that stand for none.

    transformers returns one of those instead: the first token of a continuation, whichever.
    """
    least = max(_SHORTEST, settings.min_length - settings.prompt_length + 1)
    generated = min(least, settings.max_length - settings.prompt_length)
    # Compared as exponents: the power itself may be more than a float holds.
    if settings.num_beams > 1 and -settings.length_penalty * math.log(generated) >= _LOG_NEVER:
        raise UnsupportedError(
            f"{name} generates with length_penalty {settings.length_penalty:g}, by which no "
            f"summary of {generated} tokens or more has a score that beam search takes: raise it "
            "in generation_config.json (or config.json)"
        )


def _unchanged(checkpoint: Checkpoint, task: Task) -> SettledDefaults:
    config = checkpoint.config
    used = _USED_IDS.get(task, ())
    notes = config.notes
    if problems := [config.token_problems[name] for name in used if name in config.token_problems]:
        raise CheckpointError(
            f"{checkpoint.folder / 'config.json'} has ids that {task} goes by, and that are no "
            f"token: {'; '.join(problems)}: correct it"
        )
    if "decoder_start_token_id" in config.token_problems:  # which a caller may replace
        problem = config.token_problems["decoder_start_token_id"]
        notes = (*notes, f"{problem}: decoders start with {config.decoder_start_token_id}")
    return SettledDefaults(
        checkpoint=checkpoint,
        original=checkpoint.generation,
        tokens=TokenIds(
            pad_token_id=config.pad_token_id,
            eos_token_ids=config.eos_token_ids,
            decoder_start_token_id=config.decoder_start_token_id,
        ),
        notes=notes,
    )


def _named(tokens: TokenIds, original: Mapping[str, object]) -> dict[str, object]:
    named: dict[str, object] = {
        "pad_token_id": tokens.pad_token_id,
        "decoder_start_token_id": tokens.decoder_start_token_id,
    }
    if tokens.eos_token_ids:
        first, *others = tokens.eos_token_ids
        named["eos_token_id"] = [first, *others] if others else first
    if isinstance(original.get("bos_token_id"), int):
        named["bos_token_id"] = original["bos_token_id"]
    return named


def _check_supported(name: str, values: Mapping[str, object]) -> None:
    names = unsupported_defaults(values)
    if names:
        raise UnsupportedError(
            f"{name} generates with {', '.join(names)}, which pegasus-edge does not "
            "offer: remove it from generation_config.json (or config.json) to export without it"
        )
