"""Checkpoint files to named float32 tensors, checked against the network they are meant for."""

import pickle
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from pegasus_engines.network import FINAL_BIAS, POSITIONS, TOKEN_TABLES
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import CheckpointError

__all__ = ["read_weights"]

# Written by some versions, computed or unused by the network.
_HARMLESS: Final = frozenset({*POSITIONS, "model.encoder.version", "model.decoder.version"})
_TOP_NAMES: Final = (FINAL_BIAS, "lm_head.", "classification_head.", "qa_outputs.")
_SHOWN: Final = 5


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
        _count("missing", [name for name in expected if name not in {*chosen, *optional}]),
        _count("of another shape", _find_misshapen(chosen, expected)),
        _count("of another type than float32, float16 or bfloat16", _find_mistyped(chosen)),
        _count("not expected", _find_surplus(found, expected)),
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


def _count(what: str, items: list[str]) -> str:
    """`3 tensors missing: a, b, c`, cut after the first five; empty if there are none."""
    if not items:
        return ""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    noun = "tensor" if len(items) == 1 else "tensors"
    return f"{len(items)} {noun} {what}: {', '.join(items[:_SHOWN])}{more}"


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
    read = _read_safetensors if checkpoint.weights.format == "safetensors" else _read_bin
    found: dict[str, torch.Tensor] = {}
    for path, promised in checkpoint.weights.shards.items():
        _check_is_not_a_pointer(path)
        tensors = read(path)
        absent = [name for name in promised if name not in tensors]
        if absent:
            raise CheckpointError(
                f"{path} lacks what its index promises: {_count('missing', absent)}: "
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


def _check_is_not_a_pointer(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the disk, or download it again"
        ) from err
    if not start:
        raise CheckpointError(f"{path} is empty: download it again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer, expected weights: run `git lfs pull` in its folder"
        )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as err:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({err}): download it again"
        ) from err


def _read_bin(path: Path) -> dict[str, torch.Tensor]:
    """Unpickle tensors, and nothing else: a pickle that asks for code is refused, not run."""
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"  # files of torch < 1.6 cannot be mapped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged files: what follows is clearer
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as err:
        raise CheckpointError(
            f"{path} is damaged, or asks to run code ({_first_reason(err)}), expected tensors "
            "only: use a .safetensors file, or a file that you trust converted to one"
        ) from err
    # Damaged pickles raise whatever their bytes happen to ask for.
    except Exception as err:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({type(err).__name__}): download it again"
        ) from err
    return _check_state(path, state)


def _first_reason(err: BaseException) -> str:
    """The line of torch's long message that says what the pickle asked for."""
    lines: Iterable[str] = (line.strip() for line in str(err).splitlines())
    return next((line for line in lines if "unsupported" in line.lower()), "unreadable")


def _check_state(path: Path, state: object) -> dict[str, torch.Tensor]:
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path} holds a {type(state).__name__}, expected a dict of tensors: "
            "save model.state_dict()"
        )
    others = [
        f"{name} is {type(value).__name__}"
        for name, value in state.items()
        if not isinstance(name, str) or not _is_plain(value)
    ]
    if others:
        raise CheckpointError(
            f"{path} holds other things than named dense tensors: {_count('refused', others)}: "
            "save model.state_dict()"
        )
    return dict(state)


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )
