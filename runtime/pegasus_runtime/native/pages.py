"""Memory for the arrays of one batch after another: its pages are touched once.

A system clears each page when it is first touched: for the keys and values of eight documents of
512 tokens at PEGASUS' full size 130,000 times, a tenth of a second and more. So what an array had
is kept when the array goes, for the next of about its size. What is kept and lent together is at
most what was once lent at the same time; the system has it back after a quiet time (`heap`), when
an engine goes, and when memory is short.
"""

from __future__ import annotations

import math
import mmap
import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PAGES", "Pages"]

_FLAGS = {} if os.name == "nt" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
_LARGER = 1.25
"""A block that is more times as large as what is asked for would waste too much."""


class Pages:
    """Arrays in pages of their own; safe to use from several threads."""

    def __init__(self) -> None:
        # Reentrant: an array goes, and gives back, wherever Python happens to collect garbage.
        self._lock = threading.RLock()
        self._kept: list[mmap.mmap] = []
        self._lent_bytes = 0
        self._most_bytes = 0

    @property
    def kept_bytes(self) -> int:
        """Of blocks that wait for an array."""
        with self._lock:
            return sum(map(len, self._kept))

    def empty(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """An array of any content: that of an earlier one, or zeros.

        Its block is back when it has gone, and all views of it. Raises: MemoryError, OSError or
        OverflowError if there is not enough memory.
        """
        num_bytes = 4 * math.prod(shape)
        try:
            block = self._take(num_bytes)
        except (MemoryError, OSError):
            self.release()
            block = self._take(num_bytes)
        return np.asarray(_Lent(self, block, shape))

    def give_back(self, block: mmap.mmap) -> None:
        """A block that no array is over any more."""
        with self._lock:
            self._lent_bytes -= len(block)
            self._kept.append(block)

    def release(self) -> None:
        """Gives the system what is kept."""
        with self._lock:
            self._kept.clear()
            self._most_bytes = self._lent_bytes

    def start_anew(self) -> None:
        """In a process that was forked: another thread may have held the lock meanwhile."""
        self._lock = threading.RLock()
        self.release()

    def _take(self, num_bytes: int) -> mmap.mmap:
        with self._lock:
            fitting = [each for each in self._kept if num_bytes <= len(each) <= _LARGER * num_bytes]
            if fitting:
                block = min(fitting, key=len)
                self._kept.remove(block)
            else:
                self._make_room(num_bytes)
                block = mmap.mmap(-1, num_bytes, **_FLAGS)
            self._lent_bytes += len(block)
            self._most_bytes = max(self._most_bytes, self._lent_bytes)
            return block

    def _make_room(self, num_bytes: int) -> None:
        """Lets kept blocks go, the oldest first, until a new one makes no more than there was."""
        room = self._most_bytes - self._lent_bytes - num_bytes
        kept_bytes = self.kept_bytes
        while self._kept and kept_bytes > room:
            kept_bytes -= len(self._kept.pop(0))


class _Lent:
    """What an array is over: the array and all views of it hold on to this."""

    def __init__(self, pages: Pages, block: mmap.mmap, shape: tuple[int, ...]) -> None:
        self._pages = pages
        self._block = block
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "data": (np.frombuffer(block, np.uint8).ctypes.data, False),
            "typestr": np.dtype(np.float32).str,
            "shape": shape,
        }

    def __del__(self) -> None:
        self._pages.give_back(self._block)


PAGES = Pages()
"""Those of this process."""

if hasattr(os, "register_at_fork"):  # not under Windows, which does not fork
    os.register_at_fork(after_in_child=PAGES.start_anew)
