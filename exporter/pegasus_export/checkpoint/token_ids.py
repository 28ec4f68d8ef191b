"""The token ids that generation goes by, out of its settings by transformers' rules.

Source: transformers 5.23, GenerationMixin._prepare_special_tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pegasus_export.checkpoint.config import PegasusConfig
from pegasus_export.errors import CheckpointError
from pegasus_runtime.bundle import TokenIds

__all__ = ["GenerationIds", "resolve_token_ids"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationIds:
    """Token ids, and notes on those that come from elsewhere than a user would look."""

    tokens: TokenIds
    notes: tuple[str, ...]


def resolve_token_ids(
    generation: Mapping[str, object], config: PegasusConfig, *, start_of_config: object = None
) -> GenerationIds:
    """The ids that `generate` would take; without eos_token_id no token ends a summary.

    start_of_config: decoder_start_token_id as config.json has it. Raises: CheckpointError.
    """
    size, notes = config.vocab_size, list[str]()
    eos = _ids("eos_token_id", generation.get("eos_token_id"))
    ends = tuple(dict.fromkeys(token for token in eos if 0 <= token < size))
    if not ends:
        notes.append(
            "no eos_token_id among the generation settings: summaries go on to max_length, as in "
            "transformers"
        )
    start = _start(generation, start_of_config, notes)
    if not 0 <= start < size:
        raise CheckpointError(
            f"decoder_start_token_id is {start}, expected from 0 to {size - 1}: correct it"
        )
    tokens = TokenIds(
        pad_token_id=_pad(generation, ends, config, notes),
        eos_token_ids=ends,
        decoder_start_token_id=start,
    )
    return GenerationIds(tokens=tokens, notes=tuple(notes))


def _start(generation: Mapping[str, object], of_config: object, notes: list[str]) -> int:
    for name in ("decoder_start_token_id", "bos_token_id"):
        if generation.get(name) is not None:
            if name == "bos_token_id":
                notes.append(
                    "no decoder_start_token_id among the generation settings: summaries start "
                    f"with bos_token_id {generation[name]}, as in transformers"
                )
            return _single(name, generation[name])
    if of_config is None:
        raise CheckpointError(
            "neither decoder_start_token_id nor bos_token_id is set, and transformers cannot "
            "generate without: set one in generation_config.json (or config.json)"
        )
    notes.append(
        "generation_config.json has neither decoder_start_token_id nor bos_token_id: summaries "
        f"start with decoder_start_token_id {of_config} of config.json"
    )
    return _single("decoder_start_token_id", of_config)


def _pad(
    generation: Mapping[str, object],
    ends: tuple[int, ...],
    config: PegasusConfig,
    notes: list[str],
) -> int:
    """Padding is masked: an id that the vocabulary lacks is as good as another."""
    instead = ends[0] if ends else config.pad_token_id
    value = generation.get("pad_token_id")
    if value is None:
        return instead
    pad = _single("pad_token_id", value)
    if 0 <= pad < config.vocab_size:
        return pad
    notes.append(f"pad_token_id {pad} is no token: {instead} pads, which changes nothing")
    return instead


def _single(name: str, value: object) -> int:
    ids = _ids(name, value)
    if len(ids) != 1:
        raise CheckpointError(f"{name} is {_show(value)}, expected one id: correct it")
    return ids[0]


def _ids(name: str, value: object) -> list[int]:
    """A whole number, or a list of them; [] for None."""
    values = [] if value is None else value if isinstance(value, list) else [value]
    ids = []
    for each in values:
        whole = int(each) if isinstance(each, float) and each.is_integer() else each
        if isinstance(whole, bool) or not isinstance(whole, int):
            raise CheckpointError(f"{name} is {_show(value)}, expected an id or a list of ids")
        ids.append(whole)
    return ids


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
