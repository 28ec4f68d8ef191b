"""A folder that stays the same one while it is read, whatever takes its name meanwhile.

An export that replaces a bundle gives its name to another folder in one step. Whoever opens file
after file by that name could then have some of the old and some of the new. So the folder is opened
once, and its files are reached through that: on Linux by way of /proc. It is locked as long, so
that the export does not delete it yet. Where a system has neither, the name is looked at before and
after, and all is read again if it leads to another folder by then.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pegasus_runtime.bundle.folder_lock import lock_folder
from pegasus_runtime.errors import BundleError, PegasusError

__all__ = ["read_held"]

T = TypeVar("T")
_TRIES = 100
_PAUSE_S = 0.02
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def read_held(folder: Path, read: Callable[[Path], T]) -> T:
    """read's result; it is given the path to reach the files by, and may be called again.

    Errors of pegasus-edge name the folder by its own path. Raises: BundleError if the folder is
    replaced so often that it cannot be read.
    """
    for _ in range(_TRIES):
        with _hold(folder) as place:
            before = _identity(place)
            try:
                found = read(place)
            except PegasusError as err:
                if not _is_replaced(folder, before):
                    _name_by_path(err, place, folder)
                    raise
            else:
                if place != folder or not _is_replaced(folder, before):
                    return found
        time.sleep(_PAUSE_S)
    raise BundleError(
        f"{folder}: is replaced all the time, or an export that was to replace it has ended "
        "midway: try again, or export once more"
    )


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[Path]:
    """The path by which the folder's files are reached: its own where nothing better is known."""
    try:
        descriptor = os.open(folder, _OPEN_FOLDER)
    except OSError:  # what is wrong with it is said by whoever reads it
        yield folder
        return
    try:
        lock_folder(descriptor, shared=True)
        place = Path(f"/proc/self/fd/{descriptor}")
        try:
            is_there = os.path.samestat(os.stat(place), os.fstat(descriptor))
        except OSError:
            is_there = False
        yield place if is_there else folder
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the folder that the path leads to."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_replaced(folder: Path, before: tuple[int, int] | None) -> bool:
    """Whether the name leads to another folder now, or soon will."""
    now = _identity(folder)
    if now is None:
        return _is_moved_aside(folder)
    return now != before


def _is_moved_aside(folder: Path) -> bool:
    """Whether an export is about to put another in its place, where a system needs two steps."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.pegasus-replaced-[0-9a-f]+")
    with contextlib.suppress(OSError):
        return any(pattern.fullmatch(name) for name in os.listdir(folder.parent))
    return False


def _name_by_path(err: PegasusError, place: Path, folder: Path) -> None:
    if place != folder:
        shown = str(folder.resolve())
        err.args = tuple(
            each.replace(str(place), shown) if isinstance(each, str) else each for each in err.args
        )
