"""What Windows refuses, for tests on other systems: a folder in use is not moved."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pegasus_runtime.bundle import folder_lock, staging

__all__ = ["access_denied", "act_as_windows", "files_in_use"]


def access_denied(path: Path, number: int = 5) -> PermissionError:
    """As Windows raises it; Python has its number there alone."""
    error = PermissionError(errno.EACCES, "Access is denied", str(path))
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]
    return error


def files_in_use(folder: Path) -> set[str]:
    """Below the folder, those that this process has open or mapped."""
    return {path for path in _open_files() if path.startswith(f"{folder}{os.sep}")}


def _open_files() -> Iterator[str]:
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        yield " ".join(line.split()[5:])
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:  # that of listdir itself
            continue


def _rename(rename: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def refuse_what_is_in_use(source: Path, target: Path) -> None:
        if files_in_use(source) or os.path.lexists(target):
            raise access_denied(source)
        rename(source, target)

    return refuse_what_is_in_use


def _unlink(unlink: Callable[..., None]) -> Callable[..., None]:
    def refuse_what_is_in_use(path: Path, missing_ok: bool = False) -> None:
        if str(path) in _open_files():
            raise access_denied(path)
        unlink(path, missing_ok)

    return refuse_what_is_in_use


def _lock_byte(descriptor: int, kind: int, count: int) -> None:
    fcntl.flock(descriptor, kind)


def act_as_windows(patch: pytest.MonkeyPatch) -> None:
    """For bundles that are written: folders are not opened, exchanged, or moved while in use."""
    patch.setattr(os, "rename", _rename(os.rename))
    patch.setattr(Path, "unlink", _unlink(Path.unlink))
    patch.setattr(staging, "exchange_folders", lambda one, other: False)
    patch.setattr(staging, "_shared", lambda folder, aside: folder_lock.hold_alone(aside))
    patch.setattr(staging, "_sync_folder", lambda path: None)
    patch.setattr(folder_lock, "fcntl", None)
    byte_locks = SimpleNamespace(locking=_lock_byte, LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB)
    patch.setattr(folder_lock, "msvcrt", byte_locks)
