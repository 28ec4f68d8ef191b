"""Tensors at known places of a file: mapped where they can be used as they lie, else read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch

from pegasus_export.errors import CheckpointError

__all__ = ["StoredTensor", "TensorFile", "view_tensor"]

Bytes: TypeAlias = npt.NDArray[np.uint8]

# What NumPy reads, and what torch takes it for: NumPy has no bfloat16.
_TYPES: Final[Mapping[str, tuple[str, torch.dtype]]] = {
    "float64": ("f8", torch.float64),
    "float32": ("f4", torch.float32),
    "float16": ("f2", torch.float16),
    "bfloat16": ("i2", torch.bfloat16),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies in a file, row-major: `pieces` are (offset, size) in bytes, in order."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    pieces: tuple[tuple[int, int], ...]
    big_endian: bool = False


class TensorFile:
    """A file of weights, which must stay as it is while its tensors live."""

    def __init__(self, path: Path) -> None:
        """Raises: CheckpointError if the file cannot be read."""
        self.path = path
        self._sizes: dict[str, int] = {}
        """Bytes of all tensors so far: none lies where another does."""
        try:
            self.size = path.stat().st_size
        except OSError as err:
            raise _unreadable(path, err) from err

    def load(self, stored: StoredTensor, *, transposed: bool = False) -> torch.Tensor:
        """The tensor; `transposed` if it is a matrix that torch has the other way round.

        One that need not be changed stays mapped: a page is read when it is first used, and may be
        written without effect on the file. The others are read one at a time, so that memory holds
        each of them once. Raises: CheckpointError.
        """
        return view_tensor(self.fetch(stored, mapped=not transposed), stored, transposed=transposed)

    def fetch(self, stored: StoredTensor, *, mapped: bool) -> Bytes:
        """The bytes of the tensor; mapped if asked for and possible. Raises: CheckpointError."""
        self._check(stored)
        offset, size = stored.pieces[0]
        usable = len(stored.pieces) == 1 and not stored.big_endian
        # What is not aligned could be mapped on x86, but not everywhere.
        if mapped and usable and offset % 8 == 0:
            return self._map[offset : offset + size]
        return self._read(stored)

    def _check(self, stored: StoredTensor) -> None:
        if stored.dtype not in _TYPES:
            raise CheckpointError(
                f"{self.path} holds {stored.name} as {stored.dtype}, expected one of "
                f"{', '.join(_TYPES)}: save the model again in float32"
            )
        needed = math.prod(stored.shape) * np.dtype(_TYPES[stored.dtype][0]).itemsize
        size = sum(size for _, size in stored.pieces)
        # No weight is empty: NumPy takes shapes of 0 x 2^40 for too large.
        if size != needed or size == 0:
            raise CheckpointError(
                f"{self.path} is damaged ({stored.name} of shape {list(stored.shape)} has {size} "
                f"bytes, expected {needed}): download it again"
            )
        end = max(offset + size for offset, size in stored.pieces)
        if end > self.size or min(offset for offset, _ in stored.pieces) < 0:
            raise CheckpointError(
                f"{self.path} is incomplete ({stored.name} ends at byte {end} of {self.size}): "
                "download it again"
            )
        self._sizes[stored.name] = size
        if sum(self._sizes.values()) > self.size:
            raise CheckpointError(
                f"{self.path} is damaged (its tensors lie one over the other, {stored.name} the "
                "last of them): download it again"
            )

    @cached_property
    def _map(self) -> Bytes:
        try:
            return np.memmap(self.path, np.uint8, mode="c")
        except (OSError, ValueError) as err:
            raise _unreadable(self.path, err) from err

    def _read(self, stored: StoredTensor) -> Bytes:
        result: Any = np.empty(sum(size for _, size in stored.pieces), np.uint8)
        left = memoryview(result)
        try:
            with self.path.open("rb", buffering=0) as file:
                for offset, size in stored.pieces:
                    file.seek(offset)
                    end = len(left) - size
                    while len(left) > end:
                        count = file.readinto(left[: len(left) - end])
                        if not count:
                            raise CheckpointError(
                                f"{self.path} is incomplete (it ends within {stored.name}): "
                                "download it again"
                            )
                        left = left[count:]
        except OSError as err:
            raise _unreadable(self.path, err) from err
        return cast(Bytes, result)


def view_tensor(data: Bytes, stored: StoredTensor, *, transposed: bool) -> torch.Tensor:
    """The bytes as a tensor, contiguous; nothing is copied but to transpose or to swap bytes."""
    kind, dtype = _TYPES[stored.dtype]
    array: npt.NDArray[Any] = data.view((">" if stored.big_endian else "<") + kind)
    array = array.astype(kind, copy=False).reshape(stored.shape)
    tensor = torch.from_numpy(array).view(dtype)
    return tensor.t().contiguous() if transposed and tensor.dim() == 2 else tensor


def _unreadable(path: Path, err: Exception) -> CheckpointError:
    reason = getattr(err, "strerror", None) or err
    return CheckpointError(
        f"{path} cannot be read ({reason}): check the disk, or download it again"
    )
