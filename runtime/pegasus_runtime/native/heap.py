"""The C library's heap: what many threads have freed goes back to the system.

glibc has a heap for each of many threads, and keeps what they free: after 16 threads, as much as
they needed together. Here they share a few, of which the free pages are given back once nothing
has run for a while. So are `pages`. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import threading
import time
from collections.abc import Callable

from pegasus_runtime.native.pages import PAGES

__all__ = ["QuietTime", "limit_heaps", "note_run"]

_M_ARENA_MAX = -8
_HEAPS = 4
_QUIET_S = 5.0


class QuietTime:
    """Calls `act` once, in a thread of its own, when nothing was noted for some seconds."""

    def __init__(self, act: Callable[[], object], quiet_s: float) -> None:
        self.act = act
        self.quiet_s = quiet_s
        self._last = 0.0
        self._waits_in: int | None = None
        """The process whose thread waits: that of a parent is not in a fork."""
        self._lock = threading.Lock()

    def note(self) -> None:
        """Something has run."""
        self._last = time.monotonic()
        if self._waits_in != os.getpid():
            self._start()

    def _start(self) -> None:
        if not self._lock.acquire(blocking=False):  # somebody starts it, or did as this was forked
            return
        try:
            if self._waits_in != os.getpid():
                name = "pegasus-quiet-time"
                threading.Thread(target=self._wait, name=name, daemon=True).start()
                self._waits_in = os.getpid()
        except RuntimeError:  # no thread can be had, as when the interpreter ends
            return
        finally:
            self._lock.release()

    def _wait(self) -> None:
        while (left_s := self._last + self.quiet_s - time.monotonic()) > 0:
            time.sleep(left_s)
        self._waits_in = None
        self.act()


@functools.cache
def limit_heaps() -> None:
    """Has threads that come share a few heaps, unless the environment sets their number."""
    if "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    if library := _glibc():
        library.mallopt(_M_ARENA_MAX, _HEAPS)


def note_run() -> None:
    """A graph has run: its threads' memory is given back when none has for a while."""
    _QUIET_TIME.note()


def _give_back() -> None:
    PAGES.release()
    if library := _glibc():
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


_QUIET_TIME = QuietTime(_give_back, _QUIET_S)
