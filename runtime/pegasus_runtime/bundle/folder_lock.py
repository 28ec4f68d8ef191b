"""Locks on open folders, which end with the process that holds them, however it ends.

Readers of a bundle share one, whoever writes or deletes a folder has it alone. Process ids would
say less: they mean nothing in another container, and are given out again.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["hold_alone", "lock_folder"]

_PAUSE_S = 0.01
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def lock_folder(descriptor: int, *, shared: bool, timeout_s: float = 0.0) -> bool | None:
    """Whether the lock was had; None where there is none for folders, and nobody can tell.

    It ends when the descriptor is closed.
    """
    if fcntl is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    end = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE_S)
        except OSError:  # some network file systems
            return None
        else:
            return True


@contextlib.contextmanager
def hold_alone(folder: Path, *, timeout_s: float = 0.0) -> Iterator[bool | None]:
    """What `lock_folder` says of a lock of one's own on a folder that may be gone (False, too)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    except OSError:
        yield None if fcntl is None else False
        return
    try:
        yield lock_folder(descriptor, shared=False, timeout_s=timeout_s)
    finally:
        os.close(descriptor)
