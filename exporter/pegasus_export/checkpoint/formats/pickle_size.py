"""How much of a .bin file would be unpickled, before any of it is: lists of nothing but their start
take eighty times the memory of the file, and a zip may hold a thousand times its own size."""

import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

from pegasus_export.errors import CheckpointError

__all__ = ["check_pickle_size"]

_MAX_PICKLE_BYTES: Final = 16 * 2**20
"""Of names, shapes and settings; those of PEGASUS have 200 kB."""
_MAX_DIRECTORY_BYTES: Final = 4 * 2**20
_MAX_LEGACY_BYTES: Final = 4 * 2**20
"""Of torch before 1.6, which are walked through, a second for each MiB."""
_LEGACY_PICKLES: Final = 5  # magic, version, system, tensors and the keys of their storages


def check_pickle_size(path: Path, file: BinaryIO, *, zipped: bool) -> None:
    """Leaves the file at its start. Raises: CheckpointError if it is larger than weights need.

    zipped: as torch 1.6 and later write it. Files that are no pickle are left to who reads them.
    """
    try:
        problem = _problem_of_zip(file) if zipped else _problem_of_pickles(file)
    except (ValueError, zipfile.BadZipFile, NotImplementedError):
        problem = ""
    file.seek(0)
    if problem:
        raise CheckpointError(f"{path} {problem}: save model.state_dict() alone")


def _problem_of_zip(file: BinaryIO) -> str:
    sparing = _SparingFile(file, _MAX_DIRECTORY_BYTES)
    try:
        with zipfile.ZipFile(sparing) as archive:
            entries = archive.infolist()
    except _TooMuchError:
        return f"lists more files than fit {_MAX_DIRECTORY_BYTES} bytes"
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            return f"holds {entry.filename} compressed, which torch.save does not do"
        is_storage = "/data/" in entry.filename
        if entry.file_size > _MAX_PICKLE_BYTES and not is_storage:
            return (
                f"holds {entry.filename} of {entry.file_size} bytes, expected at most "
                f"{_MAX_PICKLE_BYTES}"
            )
    return ""


def _problem_of_pickles(file: BinaryIO) -> str:
    sparing = _SparingFile(file, _MAX_LEGACY_BYTES)
    try:
        for _ in range(_LEGACY_PICKLES):
            for _ in pickletools.genops(sparing):  # type: ignore[arg-type]  # reads and tells
                pass
    except _TooMuchError:
        return f"begins with a pickle of more than {_MAX_LEGACY_BYTES} bytes, without its tensors"
    return ""


class _TooMuchError(Exception):
    """More was to be read than is allowed."""


class _SparingFile:
    """A file of which only so many bytes are read, all reads together."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self.file, self.left = file, left
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        return self._take(self.file.read(self.left + 1 if count < 0 else self._spare(count)))

    def readline(self) -> bytes:
        return self._take(self.file.readline(self.left + 1))

    def _spare(self, count: int) -> int:
        if count > self.left:
            raise _TooMuchError
        return count

    def _take(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            raise _TooMuchError
        return data
