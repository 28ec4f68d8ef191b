"""A GPU's memory, and page-locked memory of the computer, both in this process's own.

What is freed is overwritten and kept, so that whoever still reads it reads nonsense, and is told.
"""

from __future__ import annotations

import ctypes
from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["FakeMemory", "bytes_at"]

ALIGNMENT = 256  # the least that cudaMalloc promises: no test may pass by luck of more
GRANULE = 512  # what an allocation takes is a multiple of this
FRESH, FREED = 0xAB, 0xDD
QUARANTINE = 256  # freed pieces that are kept

Piece = npt.NDArray[np.uint8]


def bytes_at(address: int, num_bytes: int) -> Piece:
    memory = (ctypes.c_uint8 * num_bytes).from_address(address)
    return np.frombuffer(memoryview(memory), dtype=np.uint8)


class FakeMemory:
    """Address -> what is allocated there."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.on_gpu: dict[int, Piece] = {}
        self.on_host: dict[int, Piece] = {}
        self._freed: deque[Piece] = deque(maxlen=QUARANTINE)

    @property
    def free_bytes(self) -> int:
        return self.total_bytes - sum(_granules(len(x)) for x in self.on_gpu.values())

    def allocate(self, size: int, *, on_host: bool = False) -> int | None:
        """An address; None where the GPU has not so much left."""
        if not on_host and _granules(size) > self.free_bytes:
            return None
        whole = np.full(size + 2 * ALIGNMENT, FRESH, dtype=np.uint8)
        start = -whole.ctypes.data % ALIGNMENT
        start += ALIGNMENT * ((whole.ctypes.data + start) % (2 * ALIGNMENT) == 0)
        piece = whole[start : start + size]
        (self.on_host if on_host else self.on_gpu)[piece.ctypes.data] = piece
        return piece.ctypes.data

    def release(self, address: int, *, on_host: bool = False) -> bool:
        """Whether something was there."""
        piece = (self.on_host if on_host else self.on_gpu).pop(address, None)
        if piece is None:
            return False
        piece[...] = FREED
        self._freed.append(piece)
        return True

    def holds(self, address: int, num_bytes: int, *, on_host: bool = False) -> bool:
        """Whether all these bytes lie in one piece that is allocated."""
        pieces = self.on_host if on_host else self.on_gpu
        return any(
            start <= address and address + num_bytes <= start + len(piece)
            for start, piece in pieces.items()
        )


def _granules(size: int) -> int:
    return size + -size % GRANULE
