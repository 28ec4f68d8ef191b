"""The .safetensors file: mapped, not read."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from pegasus_export.errors import CheckpointError

__all__ = ["read_safetensors"]


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the file by its name there; a page is read when it is first used.

    Raises: CheckpointError.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as err:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({err}): download it again"
        ) from err
