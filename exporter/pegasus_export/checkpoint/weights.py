"""Checkpoint files to named float32 tensors, checked against the network they are meant for."""

from collections.abc import Collection, Mapping
from typing import Final

import torch

from pegasus_engines.network import FINAL_BIAS, POSITIONS, TOKEN_TABLES
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.formats.read import read_weight_file
from pegasus_export.checkpoint.naming import count_names
from pegasus_export.errors import CheckpointError

__all__ = ["read_weights"]

# Written by some versions, computed or unused by the network.
_HARMLESS: Final = frozenset({*POSITIONS, "model.encoder.version", "model.decoder.version"})
_TOP_NAMES: Final = (FINAL_BIAS, "lm_head.", "classification_head.", "qa_outputs.")


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
    found = _read_files(checkpoint)
    tied = checkpoint.config.tie_word_embeddings
    chosen = {
        name: tensor
        for name in expected
        if (tensor := _choose_tensor(name, found, tied=tied)) is not None
    }
    problems = [
        count_names("missing", [name for name in expected if name not in {*chosen, *optional}]),
        count_names("of another shape", _find_misshapen(chosen, expected)),
        count_names("of another type than float32, float16 or bfloat16", _find_mistyped(chosen)),
        count_names("not expected", _find_surplus(found, expected)),
    ]
    if any(problems):
        raise CheckpointError(
            f"the weights in {checkpoint.folder} do not fit its config.json: "
            f"{'; '.join(filter(None, problems))}: check that both are of one model"
        )
    _check_tied_copies(checkpoint, found, chosen)
    return _convert_to_float32(chosen)


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
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16)
    ]


def _find_surplus(found: Mapping[str, torch.Tensor], expected: Collection[str]) -> list[str]:
    return [name for name in found if name not in {*expected, *_HARMLESS, *TOKEN_TABLES}]


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


def _read_files(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Every tensor of the checkpoint by its canonical name, still in the file's dtype."""
    found: dict[str, torch.Tensor] = {}
    for path, promised in checkpoint.weights.shards.items():
        tensors = read_weight_file(path, checkpoint.weights.format)
        absent = [name for name in promised if name not in tensors]
        if absent:
            raise CheckpointError(
                f"{path} lacks what its index promises: {count_names('missing', absent)}: "
                "download the shards and the index again"
            )
        for name, tensor in tensors.items():
            canonical = _canonical_name(name)
            if canonical in found:
                raise CheckpointError(
                    f"{path} holds {canonical} a second time: save the model again"
                )
            found[canonical] = tensor
    return found


def _canonical_name(name: str) -> str:
    """The name in PegasusForConditionalGeneration; PegasusModel's have no prefix."""
    return name if name.startswith(("model.", *_TOP_NAMES)) else f"model.{name}"
