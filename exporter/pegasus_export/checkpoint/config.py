"""The facts about a PEGASUS or BigBirdPegasus network that its config.json must state.

Nothing is filled in from defaults, with two exceptions (see `_tie_word_embeddings` and `_labels`):
the defaults of transformers' PegasusConfig (gelu, 12 layers, unscaled embeddings, 50265 tokens) are
not those of the published checkpoints.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeGuard, cast

from pegasus_export.errors import CheckpointError
from pegasus_runtime.bundle.block_sparse import longest_full

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BlockSparse",
    "PegasusConfig",
    "read_config",
    "read_json_object",
]

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "silu": "silu",
    "swish": "silu",
}

# Field -> the largest value that is not taken for damage.
_SIZES: Final[Mapping[str, int]] = {
    "vocab_size": 10_000_000,
    "d_model": 65_536,
    "encoder_layers": 1_000,
    "decoder_layers": 1_000,
    "encoder_attention_heads": 1_024,
    "decoder_attention_heads": 1_024,
    "encoder_ffn_dim": 1_000_000,
    "decoder_ffn_dim": 1_000_000,
    "max_position_embeddings": 1_000_000,
}
_TOKEN_IDS: Final = ("pad_token_id", "decoder_start_token_id", "eos_token_id")
_REQUIRED: Final = (*_SIZES, "activation_function", "scale_embedding", *_TOKEN_IDS)
_BIGBIRD: Final = "bigbird_pegasus"
_BIGBIRD_REQUIRED: Final = ("attention_type", "block_size", "num_random_blocks", "use_bias")
_ATTENTION_TYPES: Final = ("block_sparse", "original_full")
_MOST_BLOCKS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSparse:
    """The sparse attention of a BigBirdPegasus encoder; `block_size` is in tokens."""

    block_size: int
    num_random_blocks: int

    @property
    def longest_full(self) -> int:
        """The padded length, in tokens, up to which the encoder attends in full."""
        return longest_full(block_size=self.block_size, num_random_blocks=self.num_random_blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class PegasusConfig:
    """Shape and arithmetic of one network of the PEGASUS family, as its checkpoint states them.

    Sizes are counts. `max_position_embeddings` is in tokens; sinusoids go on beyond it, learned
    positions do not. `scale_embedding` multiplies embeddings by sqrt(d_model). With
    `tie_word_embeddings` the output projection is the embedding matrix. `block_sparse` is None
    where the encoder attends in full. `labels` are those of a classifier, in order.
    """

    vocab_size: int
    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    max_position_embeddings: int
    activation_function: Activation
    scale_embedding: bool
    pad_token_id: int
    eos_token_ids: tuple[int, ...]
    decoder_start_token_id: int
    tie_word_embeddings: bool
    attention_bias: bool = True
    learned_positions: bool = False
    block_sparse: BlockSparse | None = None
    labels: tuple[str, ...] = ()
    problem_type: str | None = None


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose outermost value is an object.

    Raises CheckpointError if it cannot be read or is anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the folder, or download it again"
        ) from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{path} is not valid JSON ({err}): download it again") from err
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a JSON {type(content).__name__}, expected an object: download it again"
        )
    return content


def read_config(path: Path, generation: Mapping[str, object] | None = None) -> PegasusConfig:
    """Read a config.json written by transformers 4 or 5.

    Token ids in generation, the content of generation_config.json, go before those in config.json:
    transformers generates with them. Raises CheckpointError that lists every missing field and
    every impossible value.
    """
    fields = read_json_object(path)
    for name in _TOKEN_IDS:
        if generation is not None and generation.get(name) is not None:
            fields[name] = generation[name]
    problems = _find_problems(fields)
    if problems:
        raise CheckpointError(
            f"{path} does not describe a PEGASUS network: {'; '.join(problems)}; "
            "correct it, or download the checkpoint again"
        )
    is_bigbird = _is_bigbird(fields)
    return PegasusConfig(
        **{name: fields[name] for name in _SIZES},
        activation_function=ACTIVATIONS[fields["activation_function"]],
        scale_embedding=fields["scale_embedding"],
        pad_token_id=fields["pad_token_id"],
        eos_token_ids=_eos_token_ids(fields),
        decoder_start_token_id=fields["decoder_start_token_id"],
        tie_word_embeddings=_tie_word_embeddings(fields),
        attention_bias=fields["use_bias"] if is_bigbird else True,
        learned_positions=is_bigbird,
        block_sparse=_block_sparse(fields) if is_bigbird else None,
        labels=_labels(fields),
        problem_type=fields.get("problem_type"),
    )


def _is_bigbird(fields: Mapping[str, Any]) -> bool:
    return fields.get("model_type") == _BIGBIRD


def _block_sparse(fields: Mapping[str, Any]) -> BlockSparse | None:
    if fields["attention_type"] == "original_full":
        return None
    return BlockSparse(
        block_size=fields["block_size"], num_random_blocks=fields["num_random_blocks"]
    )


def _labels(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes; transformers leaves them out where they are its own two."""
    names = fields.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    return tuple(names[str(index)] for index in range(len(names)))


def _find_problems(fields: Mapping[str, Any]) -> list[str]:
    """Everything wrong with the fields, in words."""
    present = {name: value for name, value in fields.items() if value is not None}
    required = (*_REQUIRED, *_BIGBIRD_REQUIRED) if _is_bigbird(fields) else _REQUIRED
    missing = [name for name in required if name not in present]
    problems = [f"{', '.join(missing)} missing"] if missing else []
    problems += [
        f"{name} is {_show(present[name])}, expected an integer from 1 to {largest}"
        for name, largest in _SIZES.items()
        if name in present and not _is_integer(present[name], 1, largest)
    ]
    problems += _find_flag_problems(present)
    problems += _find_width_problems(present)
    problems += _find_token_problems(present)
    problems += _find_label_problems(present)
    if _is_bigbird(fields):
        problems += _find_sparse_problems(present)
    return problems


def _find_sparse_problems(present: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name} is {_show(present[name])}, expected an integer from {smallest} to {_MOST_BLOCKS}"
        for name, smallest in (("block_size", 1), ("num_random_blocks", 0))
        if name in present and not _is_integer(present[name], smallest, _MOST_BLOCKS)
    ]
    if present.get("attention_type", "block_sparse") not in _ATTENTION_TYPES:
        got, expected = _show(present["attention_type"]), " or ".join(_ATTENTION_TYPES)
        problems.append(f"attention_type is {got}, expected {expected}")
    if not isinstance(present.get("use_bias", True), bool):
        problems.append(f"use_bias is {_show(present['use_bias'])}, expected true or false")
    return problems


def _find_label_problems(present: Mapping[str, Any]) -> list[str]:
    names = present.get("id2label", {"0": ""})
    good = (
        isinstance(names, dict)
        and set(names) == {str(index) for index in range(len(names))}
        and all(isinstance(name, str) for name in names.values())
    )
    problem_type = present.get("problem_type", "")
    problems = [] if good else [f"id2label is {_show(names)}, expected names under 0, 1, 2 ..."]
    if not isinstance(problem_type, str):
        problems.append(f"problem_type is {_show(problem_type)}, expected a text")
    return problems


def _find_flag_problems(present: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name} is {_show(present[name])}, expected true or false"
        for name in ("scale_embedding", "tie_word_embeddings")
        if name in present and not isinstance(present[name], bool)
    ]
    activation = present.get("activation_function", "relu")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        problems.append(
            f"activation_function is {_show(activation)}, expected one of {', '.join(ACTIVATIONS)}"
        )
    return problems


def _find_width_problems(present: Mapping[str, Any]) -> list[str]:
    d_model = present.get("d_model")
    if not _is_integer(d_model, 1, _SIZES["d_model"]):
        return []
    problems = []
    if d_model % 2 and not _is_bigbird(present):
        problems.append(f"d_model is {d_model}, expected an even number, for sines and cosines")
    for name in ("encoder_attention_heads", "decoder_attention_heads"):
        heads = present.get(name)
        if _is_integer(heads, 1, _SIZES[name]) and d_model % heads:
            problems.append(f"d_model is {d_model}, expected a multiple of {name} ({heads})")
    return problems


def _find_token_problems(present: Mapping[str, Any]) -> list[str]:
    size = present.get("vocab_size")
    largest = size - 1 if _is_integer(size, 1, _SIZES["vocab_size"]) else _SIZES["vocab_size"]
    problems = []
    for name in _TOKEN_IDS:
        value = present.get(name, 0)
        many = name == "eos_token_id" and isinstance(value, list)
        ids = value if many else [value]
        if not ids or not all(_is_integer(one, 0, largest) for one in ids):
            kind = "an integer or a list of integers" if name == "eos_token_id" else "an integer"
            problems.append(f"{name} is {_show(value)}, expected {kind} from 0 to {largest}")
    return problems


def _eos_token_ids(fields: Mapping[str, Any]) -> tuple[int, ...]:
    ids = fields["eos_token_id"]
    return tuple(dict.fromkeys(ids)) if isinstance(ids, list) else (ids,)


def _tie_word_embeddings(fields: Mapping[str, Any]) -> bool:
    """True unless the file says otherwise: transformers 4 left it out whenever it was true."""
    value = fields.get("tie_word_embeddings")
    return True if value is None else cast(bool, value)


def _is_integer(value: object, smallest: int, largest: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and smallest <= value <= largest


def _show(value: object) -> str:
    """The value as JSON, cut to a length that fits in a message."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
