"""The .bin file that torch.save wrote: tensors are unpickled from it, and nothing else."""

import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch

from pegasus_export.checkpoint.naming import count_names
from pegasus_export.errors import CheckpointError

__all__ = ["read_torch_pickle"]


def read_torch_pickle(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the file by its name there; mapped unless torch before 1.6 wrote it.

    A pickle that asks for code is refused, not run. Raises: CheckpointError.
    """
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
            f"{path} holds other things than named dense tensors: {count_names('refused', others)}"
            ": save model.state_dict()"
        )
    return dict(state)


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )
