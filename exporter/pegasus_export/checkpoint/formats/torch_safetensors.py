"""The .safetensors file: mapped, not read."""

from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from pegasus_export.errors import CheckpointError

__all__ = ["read_safetensors"]


_MAX_HEADER_BYTES: Final = 16 * 2**20  # each tensor takes some 100


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the file by its name there; a page is read when it is first used.

    Raises: CheckpointError.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as err:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({err}): download it again"
        ) from err


def _check_header(path: Path) -> None:
    """Before the library reads it, which takes six times as many. Raises: CheckpointError."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if _MAX_HEADER_BYTES < size < path.stat().st_size:  # else it is damaged, and is called that
        raise CheckpointError(
            f"{path} has a header of {size} bytes, expected at most {_MAX_HEADER_BYTES}: save the "
            "model again"
        )
