"""The facts about a network of the PEGASUS family that its config.json states.

What it leaves out is what transformers' class has (`config_fields`), with a note.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeGuard, cast

from pegasus_export.checkpoint.activation_names import ACTIVATIONS, WITH_WEIGHTS, Activation
from pegasus_export.checkpoint.config_fields import fill_class_defaults, read_config_fields
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.errors import CheckpointError
from pegasus_runtime.bundle.block_sparse import longest_full

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BlockLocal",
    "BlockSparse",
    "PegasusConfig",
    "read_config",
    "read_json_object",
]

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
_PEGASUS_X: Final = "pegasus_x"
_PEGASUS_X_REQUIRED: Final = ("block_size", "num_global_tokens", "stagger_local_blocks")
_LEAST_SINUSOID: Final = 4  # d_model: wavelengths go from one to another
_ATTENTION_TYPES: Final = ("block_sparse", "original_full")
_MOST_BLOCKS: Final = 100_000
_MOST_LABELS: Final = 100_000


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
class BlockLocal:
    """The block-local attention of a PEGASUS-X encoder; `block_size` is in tokens."""

    block_size: int
    num_global_tokens: int
    staggers: bool
    """Whether the blocks of every other layer begin with half a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PegasusConfig:
    """Shape and arithmetic of one network of the PEGASUS family, as its checkpoint states them.

    Sizes are counts. `max_position_embeddings` is in tokens; sinusoids go on beyond it, learned
    positions do not. `scale_embedding` multiplies embeddings by sqrt(d_model). With
    `tie_word_embeddings` the output projection is the embedding matrix. `block_sparse` and
    `block_local` are None where the encoder attends in full. `labels` are those of a classifier, in
    order.
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
    block_local: BlockLocal | None = None
    labels: tuple[str, ...] = ()
    problem_type: str | None = None
    token_problems: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Of ids that are no token, by name, and in words; a token stands in for them here."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was read otherwise than it stands in the file, for the user to know."""


def read_config(path: Path) -> PegasusConfig:
    """Read a config.json written by transformers 4 or 5, or by hand.

    Its token ids are those that the network goes by; generation has its own (`token_ids`). Whoever
    uses them looks at `token_problems` first. Raises CheckpointError that lists every missing field
    and every impossible value.
    """
    read = read_config_fields(path)
    filled = fill_class_defaults(read.values)
    fields = filled.values
    problems = _find_problems(fields)
    if problems:
        raise CheckpointError(
            f"{path} does not describe a PEGASUS network: {'; '.join(problems)}; "
            "correct it, or download the checkpoint again"
        )
    is_bigbird, is_pegasus_x = _is_bigbird(fields), _is_pegasus_x(fields)
    return PegasusConfig(
        **{name: fields[name] for name in _SIZES},
        activation_function=ACTIVATIONS[fields["activation_function"]],
        scale_embedding=fields["scale_embedding"],
        pad_token_id=fields["pad_token_id"],
        eos_token_ids=_eos_token_ids(fields),
        decoder_start_token_id=_start(fields),
        tie_word_embeddings=_tie_word_embeddings(fields),
        attention_bias=fields["use_bias"] if is_bigbird else not is_pegasus_x,
        learned_positions=is_bigbird,
        block_sparse=_block_sparse(fields) if is_bigbird else None,
        block_local=_block_local(fields) if is_pegasus_x else None,
        labels=_labels(fields),
        problem_type=fields.get("problem_type"),
        token_problems=_find_no_tokens(fields),
        notes=(*read.notes, *filled.notes),
    )


def _is_bigbird(fields: Mapping[str, Any]) -> bool:
    return fields.get("model_type") == _BIGBIRD


def _is_pegasus_x(fields: Mapping[str, Any]) -> bool:
    return fields.get("model_type") == _PEGASUS_X


def _block_local(fields: Mapping[str, Any]) -> BlockLocal:
    return BlockLocal(
        block_size=fields["block_size"],
        num_global_tokens=fields["num_global_tokens"],
        staggers=fields["stagger_local_blocks"],
    )


def _block_sparse(fields: Mapping[str, Any]) -> BlockSparse | None:
    if fields["attention_type"] == "original_full":
        return None
    return BlockSparse(
        block_size=fields["block_size"], num_random_blocks=fields["num_random_blocks"]
    )


def _labels(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes; transformers leaves them out where they are its own two."""
    names, count = fields.get("id2label"), fields.get("num_labels")
    if not _has_labels(names):
        names = {}
    if not names or (_is_integer(count, 1, _MOST_LABELS) and count != len(names)):
        return tuple(f"LABEL_{index}" for index in range(count or 2))
    return tuple(str(names[str(index)]) for index in range(len(names)))


def _has_labels(names: object) -> bool:
    return (
        isinstance(names, dict)
        and set(names) == {str(index) for index in range(len(names))}
        and all(isinstance(name, str | int) for name in names.values())
    )


def _is_classifier(fields: Mapping[str, Any]) -> bool:
    """Whether labels are read at all: other checkpoints may have any."""
    names = fields.get("architectures")
    return isinstance(names, list) and "BigBirdPegasusForSequenceClassification" in names


def _find_problems(fields: Mapping[str, Any]) -> list[str]:
    """Everything wrong with the fields, in words."""
    present = {name: value for name, value in fields.items() if value is not None}
    required: tuple[str, ...] = _REQUIRED
    if _is_bigbird(fields):
        required += _BIGBIRD_REQUIRED
    elif _is_pegasus_x(fields):
        required += _PEGASUS_X_REQUIRED
    missing = [name for name in required if name not in present]
    problems = [f"{', '.join(missing)} missing"] if missing else []
    problems += _find_contradictions(present)
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
    elif _is_pegasus_x(fields):
        problems += _find_local_problems(present)
    return problems


def _find_local_problems(present: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name} is {_show(present[name])}, expected an integer from 1 to {_MOST_BLOCKS}"
        for name in ("block_size", "num_global_tokens")
        if name in present and not _is_integer(present[name], 1, _MOST_BLOCKS)
    ]
    staggers, size = present.get("stagger_local_blocks", False), present.get("block_size")
    if not isinstance(staggers, bool):
        problems.append(f"stagger_local_blocks is {_show(staggers)}, expected true or false")
    elif staggers and _is_integer(size, 1, _MOST_BLOCKS) and size % 2:
        problems.append(f"block_size is {size}, expected an even number, to stagger blocks by half")
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


def _find_contradictions(present: Mapping[str, Any]) -> list[str]:
    """Fields that transformers itself cannot run the architecture with, or that vary the layers."""
    problems = []
    if present.get("is_encoder_decoder") is False and any(
        "ForConditionalGeneration" in str(name)
        for name in present.get("architectures") or ["ForConditionalGeneration"]
    ):
        problems.append("is_encoder_decoder is false, expected true of an encoder and a decoder")
    if present.get("per_layer_config"):
        problems.append("per_layer_config is given, expected layers that are all alike")
    return problems


def _find_label_problems(present: Mapping[str, Any]) -> list[str]:
    if not _is_classifier(present):
        return []
    names, count = present.get("id2label", {"0": ""}), present.get("num_labels", 1)
    problems = []
    if not _has_labels(names) or not names:
        problems.append(f"id2label is {_show(names)}, expected names under 0, 1, 2 ...")
    if not _is_integer(count, 1, _MOST_LABELS):
        problems.append(f"num_labels is {_show(count)}, expected from 1 to {_MOST_LABELS}")
    problem_type = present.get("problem_type", "")
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
    if activation in WITH_WEIGHTS:
        problems.append(
            f"activation_function is {_show(activation)}, whose weights are not read, expected "
            "one without"
        )
    elif not isinstance(activation, str) or activation not in ACTIVATIONS:
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
    if _is_pegasus_x(present) and d_model < _LEAST_SINUSOID:
        problems.append(f"d_model is {d_model}, expected at least {_LEAST_SINUSOID} of PEGASUS-X")
    for name in ("encoder_attention_heads", "decoder_attention_heads"):
        heads = present.get(name)
        if _is_integer(heads, 1, _SIZES[name]) and d_model % heads:
            problems.append(f"d_model is {d_model}, expected a multiple of {name} ({heads})")
    return problems


def _find_token_problems(present: Mapping[str, Any]) -> list[str]:
    """Padding has a row of its own in the network; of the others, what transformers refuses."""
    size = present.get("vocab_size")
    largest = size - 1 if _is_integer(size, 1, _SIZES["vocab_size"]) else _SIZES["vocab_size"]
    problems = []
    for name in _TOKEN_IDS:
        value = present.get(name, 0)
        many = isinstance(value, list) and (
            name == "eos_token_id" or (name == "decoder_start_token_id" and len(value) == 1)
        )
        ids = value if many else [value]
        is_token = _is_token if name == "pad_token_id" else _is_whole
        if not all(is_token(one, largest) for one in ids):
            problems.append(_expect_token(name, value, largest))
    return problems


def _find_no_tokens(fields: Mapping[str, Any]) -> dict[str, str]:
    """Ids that the vocabulary lacks, which harm where they are used and nowhere else."""
    largest = fields["vocab_size"] - 1
    return {
        name: _expect_token(name, fields[name], largest)
        for name in ("decoder_start_token_id", "eos_token_id")
        if not (ids := _listed(fields[name])) or not all(_is_token(one, largest) for one in ids)
    }


def _expect_token(name: str, value: object, largest: int) -> str:
    kind = "an integer or a list of integers" if name == "eos_token_id" else "an integer"
    return f"{name} is {_show(value)}, expected {kind} from 0 to {largest}"


def _start(fields: Mapping[str, Any]) -> int:
    """A list that holds no other is its id."""
    (value,) = _listed(fields["decoder_start_token_id"])
    return value if _is_token(value, fields["vocab_size"] - 1) else 0


def _eos_token_ids(fields: Mapping[str, Any]) -> tuple[int, ...]:
    largest = fields["vocab_size"] - 1
    ids = [one for one in _listed(fields["eos_token_id"]) if _is_token(one, largest)]
    return tuple(dict.fromkeys(ids)) or (min(1, largest),)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_token(value: object, largest: int) -> bool:
    return _is_integer(value, 0, largest)


def _is_whole(value: object, _largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


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
