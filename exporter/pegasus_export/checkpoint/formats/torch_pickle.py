"""The .bin file that torch.save wrote: tensors are unpickled from it, and nothing else."""

import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, cast

import torch

from pegasus_export.checkpoint.formats.pickle_size import check_pickle_size
from pegasus_export.checkpoint.naming import count_names
from pegasus_export.errors import CheckpointError

__all__ = ["read_torch_pickle"]

# Under which training loops save the model's own state: Lightning, DeepSpeed, by hand.
_MODEL_KEYS: Final = ("state_dict", "model_state_dict", "model", "module", "net", "weights")


def read_torch_pickle(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the file by its name there; mapped unless torch before 1.6 wrote it.

    What else lies beside them, such as None or `_metadata`, is passed over as transformers does.
    A pickle that asks for code is refused, not run. Raises: CheckpointError.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of damaged files: what follows is clearer
            state = _load(path, file)
    except CheckpointError:
        raise
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


def _load(path: Path, file: BinaryIO) -> object:
    zipped = file.read(4) == b"PK\x03\x04"  # files of torch < 1.6 cannot be mapped
    file.seek(0)
    check_pickle_size(path, file, zipped=zipped)
    if path.suffix == ".safetensors":  # torch goes by the name of a path, and maps nothing else
        return torch.load(file, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _first_reason(err: BaseException) -> str:
    """The line of torch's long message that says what the pickle asked for."""
    lines: Iterable[str] = (line.strip() for line in str(err).splitlines())
    return next((line for line in lines if "unsupported" in line.lower()), "unreadable")


def _check_state(path: Path, content: object) -> dict[str, torch.Tensor]:
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, expected a dict of tensors: "
            "save model.state_dict()"
        )
    state = _unwrap(content)
    others = [
        f"{name} is {type(value).__name__}"
        for name, value in state.items()
        if not isinstance(name, str) or not (_is_plain(value) or _is_passed_over(state, name))
    ]
    if others:
        raise CheckpointError(
            f"{path} holds other things than named dense tensors: {count_names('refused', others)}"
            ": save model.state_dict()"
        )
    tensors = {name: value for name, value in state.items() if _is_plain(value)}
    return cast(dict[str, torch.Tensor], tensors)


def _unwrap(content: dict[object, object]) -> dict[object, object]:
    """The state of the model in what a training loop saved: step, optimiser, settings and it."""
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return content
    for key in _MODEL_KEYS:
        inner = content.get(key)
        if isinstance(inner, dict):
            return _unwrap(inner)
    return content


def _is_passed_over(state: dict[object, object], name: str) -> bool:
    """What is no tensor beside tensors, as transformers does; not what may be the model's own."""
    value = state[name]
    may_be_model = name in _MODEL_KEYS and isinstance(value, dict)
    has_tensors = any(isinstance(each, torch.Tensor) for each in state.values())
    return has_tensors and not isinstance(value, torch.Tensor) and not may_be_model


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )
