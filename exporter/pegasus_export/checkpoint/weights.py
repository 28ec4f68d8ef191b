"""A checkpoint's tensors as float32, checked against the network they are meant for."""

from collections.abc import Collection, Mapping
from typing import Final

import torch

from pegasus_engines.network import FINAL_BIAS, POSITIONS, TOKEN_TABLES
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.naming import count_names
from pegasus_export.checkpoint.read_tensors import read_tensors
from pegasus_export.errors import CheckpointError

__all__ = ["fit_tensors", "keeps_copies_apart", "read_weights"]

# Written by some versions, computed or unused by the network.
_HARMLESS: Final = frozenset({*POSITIONS, "model.encoder.version", "model.decoder.version"})
_HARMLESS_ENDS: Final = (".position_ids", ".num_batches_tracked")
# Of a trainer, whatever has a place in the network; all that stands beside `model` is left out too.
_VALUE_HEAD: Final = "model.v_head."
# Others are 8-bit, which without scales mean nothing, or no numbers of a network.
_TYPES: Final = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.int16,
)


def read_weights(
    checkpoint: Checkpoint,
    expected: Mapping[str, tuple[int, ...]],
    *,
    optional: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """Read the expected tensors, named and shaped as in PegasusForConditionalGeneration.

    Returns float32 on the CPU. float32 files are mapped, not read: a page costs memory when it is
    first used, and the files must stay as they are while the tensors live. Tied matrices
    (of TOKEN_TABLES) stand in for each other, so that only one of them need be in the file; the
    results then share memory. Names in optional may be missing. Raises CheckpointError that names
    every missing, misshapen, surplus or mistyped tensor.
    """
    return fit_tensors(checkpoint, read_tensors(checkpoint), expected, optional=optional)


def keeps_copies_apart(checkpoint: Checkpoint, found: Mapping[str, torch.Tensor]) -> bool:
    """Whether a config ties token tables that the file has as several, which differ.

    transformers believes the file, with a warning: each part of the network has its own table.
    """
    first = next((name for name in TOKEN_TABLES if name in found), None)
    if first not in ("model.shared.weight", "model.decoder.embed_tokens.weight"):
        return False
    copies = [found[name] for name in TOKEN_TABLES if name in found]
    return checkpoint.config.tie_word_embeddings and any(
        copy.shape == copies[0].shape and not _is_same(copies[0], copy) for copy in copies[1:]
    )


def fit_tensors(
    checkpoint: Checkpoint,
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, tuple[int, ...]],
    *,
    optional: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """Those of the tensors that the network expects, as `read_weights` returns them.

    Raises: CheckpointError.
    """
    tied = checkpoint.config.tie_word_embeddings
    chosen = {
        name: _shape_bias(name, tensor)
        for name in expected
        if (tensor := _choose_tensor(name, found, tied=tied)) is not None
    }
    zeros = _find_unbiased(found, [name for name in expected if name not in {*chosen, *optional}])
    chosen |= {name: torch.zeros(expected[name]) for name in zeros}
    surplus, outside = _find_surplus(found, expected)
    problems = [
        count_names("missing", [name for name in expected if name not in {*chosen, *optional}]),
        count_names("of another shape", _find_misshapen(chosen, expected)),
        count_names("of another type than float32, float16 or bfloat16", _find_mistyped(chosen)),
        count_names("not expected", surplus),
    ]
    if any(problems):
        raise CheckpointError(
            f"the weights in {checkpoint.folder} do not fit its config.json: "
            f"{'; '.join(filter(None, problems))}: {_advise(chosen, expected)}"
        )
    if outside:
        checkpoint.notes.append(
            f"{count_names('outside the network left out', outside)}: "
            f"{checkpoint.architecture} has none"
        )
    if zeros:
        checkpoint.notes.append(count_names("that no layer has taken for zero", zeros))
    _check_tied_copies(checkpoint, found, chosen)
    return _convert_to_float32(chosen)


def _find_unbiased(found: Collection[str], missing: Collection[str]) -> list[str]:
    """Biases that no layer has, of layers that are there: transformers starts them from zero."""
    kinds = {tuple(name.split(".")[-2:]) for name in found}
    return [
        name
        for name in missing
        if name.endswith(".bias")
        and tuple(name.split(".")[-2:]) not in kinds
        and name.replace(".bias", ".weight") in found
    ]


def _shape_bias(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The bias of the logits is a row of a matrix in transformers, a vector elsewhere."""
    return tensor[None] if name == FINAL_BIAS and tensor.ndim == 1 else tensor  # [V] -> [1, V]


def _advise(chosen: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]]) -> str:
    """What to do about tensors that do not fit, by the first sign of why."""
    for name in TOKEN_TABLES:
        tensor, shape = chosen.get(name), expected.get(name)
        if tensor is None or shape is None or tensor.ndim != 2:
            continue
        if tensor.shape[0] != shape[0] and tensor.shape[1] == shape[1]:
            return (
                f"the vocabulary was resized: set vocab_size to {tensor.shape[0]} in config.json "
                "if all weights have that many tokens, or save the model again"
            )
    if any(tensor.dtype.itemsize == 1 for tensor in chosen.values()):
        return "weights of 8 bits are quantised: give the checkpoint before that"
    return "check that both are of one model"


def _choose_tensor(
    name: str, found: Mapping[str, torch.Tensor], *, tied: bool
) -> torch.Tensor | None:
    """The tensor under that name, or else a matrix that is tied to it."""
    if name in found or name not in TOKEN_TABLES:
        return found.get(name)
    # Encoder and decoder share their embedding even where the output projection has its own.
    candidates = TOKEN_TABLES if tied else TOKEN_TABLES[:-1] if name != "lm_head.weight" else ()
    return next((found[other] for other in candidates if other in found), None)


def _find_misshapen(
    chosen: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    return [
        f"{name} is {list(tensor.shape)}, expected {list(expected[name])}"
        for name, tensor in chosen.items()
        if tuple(tensor.shape) != tuple(expected[name])
    ]


def _find_mistyped(chosen: Mapping[str, torch.Tensor]) -> list[str]:
    return [
        f"{name} is {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in chosen.items()
        if tensor.dtype not in _TYPES
    ]


def _find_surplus(
    found: Mapping[str, torch.Tensor], expected: Collection[str]
) -> tuple[list[str], list[str]]:
    """Tensors that the network has no place for, and those beside it, such as other heads.

    transformers leaves out both; one in an encoder or a decoder may belong to another network.
    """
    beside: tuple[str, ...] = (_VALUE_HEAD,)
    if not any(name.startswith("model.encoder.") for name in expected):
        beside += ("model.encoder.",)  # a decoder on its own, taken from a whole model
    surplus: list[str] = []
    outside: list[str] = []
    for name in found:
        if name in {*expected, *_HARMLESS, *TOKEN_TABLES} or name.endswith(_HARMLESS_ENDS):
            continue
        is_inside = name.startswith("model.") and not name.startswith(beside)
        (surplus if is_inside else outside).append(name)
    return surplus, outside


def _check_tied_copies(
    checkpoint: Checkpoint, found: Mapping[str, torch.Tensor], chosen: Mapping[str, torch.Tensor]
) -> None:
    """Refuse copies of the embedding that differ where the network has room for one of them.

    transformers keeps such copies apart with a warning; to drop one would change the model.
    """
    kept = [name for name in TOKEN_TABLES if name in chosen]
    for name in TOKEN_TABLES:
        if name not in found or name in chosen or not kept:
            continue
        if not _is_same(found[name], chosen[kept[0]]):
            raise CheckpointError(
                f"{checkpoint.folder} has a {name} that differs from its {kept[0]}, expected one "
                "matrix for both: fine-tune or save the model again with tied embeddings"
            )


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    shared = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return shared or torch.equal(one, other)


def _convert_to_float32(chosen: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert each tensor once, so that names which share memory still do."""
    converted: dict[int, torch.Tensor] = {}
    for tensor in chosen.values():
        if id(tensor) not in converted:
            converted[id(tensor)] = tensor.detach().to(torch.float32).contiguous()
    return {name: converted[id(tensor)] for name, tensor in chosen.items()}
