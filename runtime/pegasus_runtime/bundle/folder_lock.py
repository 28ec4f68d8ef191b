"""Locks on folders, which end with the process that holds them, however it ends.

Readers of a bundle share one, whoever writes or deletes a folder has it alone. Process ids would
say less: they mean nothing in another container, and are given out again.

Windows opens no folder. There readers need no lock, as nobody moves a folder of which a file is in
use; whoever writes or deletes one has a file locked beside it, NAME.lock.
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
try:
    import msvcrt
except ImportError:  # all other systems
    msvcrt = None  # type: ignore[assignment]

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
    if msvcrt is not None:
        with _hold_beside(folder, time.monotonic() + timeout_s) as is_held:
            yield is_held
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    except OSError:
        yield None if fcntl is None else False
        return
    try:
        yield lock_folder(descriptor, shared=False, timeout_s=timeout_s)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _hold_beside(folder: Path, end: float) -> Iterator[bool | None]:
    path = folder.with_name(f"{folder.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOINHERIT", 0))
    except OSError:
        yield None
        return
    is_held = False
    try:
        while not (is_held := _lock_byte(descriptor)) and time.monotonic() < end:
            time.sleep(_PAUSE_S)
        yield is_held
    finally:
        os.close(descriptor)
        if is_held:
            with contextlib.suppress(OSError):  # somebody else has it open by now
                path.unlink()


def _lock_byte(descriptor: int) -> bool:
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
