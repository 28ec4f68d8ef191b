"""A file that grows by whole pieces, and is cut back to those that are known to be there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from pegasus_runtime.bundle.folder_lock import lock_folder
from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.errors import OptionsError

__all__ = ["TAIL_BYTES", "GrowingFile", "hold", "write_error"]

TAIL_BYTES = 4096
"""By so many at its end, a file is known again."""


class GrowingFile:
    """Held against other runs until it is closed."""

    def __init__(
        self,
        path: Path,
        *,
        size: int = 0,
        sha256: str = "",
        check_still: Callable[[], None] = lambda: None,
    ) -> None:
        """size, sha256: of what stays of it, which `append` returned; the rest is cut off.
        check_still: whether they are still what is known, now that nobody else writes.

        Raises: OptionsError for a file that is in use, or another one by now; ResultError.
        """
        self.path = path
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | (0 if size else os.O_CREAT)
        try:
            self.descriptor = os.open(path, flags, 0o666)
        except OSError as err:
            if size and isinstance(err, FileNotFoundError):
                raise self._other(size) from err
            raise write_error(path, err) from err
        try:
            hold(path, self.descriptor)
            check_still()
            is_cut = os.fstat(self.descriptor).st_size < size
            self.size, self.tail = size, b"" if is_cut else self._read_tail(size)
            if is_cut or sha256 not in ("", self.sha256):
                raise self._other(size)
            os.ftruncate(self.descriptor, size)
            os.lseek(self.descriptor, size, os.SEEK_SET)
        except BaseException:
            self.close()
            raise

    def _other(self, size: int) -> OptionsError:
        return OptionsError(
            f"{self.path}: not as it was written: its first {size} bytes were changed or cut: "
            "begin anew with --force"
        )

    @property
    def sha256(self) -> str:
        """Of its end."""
        return hashlib.sha256(self.tail).hexdigest()

    def append(self, data: bytes) -> tuple[int, str]:
        """Adds a piece, on the disk when it returns; the size of all, and `sha256`.

        Raises: ResultError.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
            os.fsync(self.descriptor)
        except OSError as err:
            raise write_error(self.path, err) from err
        self.size += len(data)
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        return self.size, self.sha256

    def close(self) -> None:
        """Lets it go; may be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def _read_tail(self, size: int) -> bytes:
        begin = max(0, size - TAIL_BYTES)
        os.lseek(self.descriptor, begin, os.SEEK_SET)
        data = b""
        while chunk := os.read(self.descriptor, size - begin - len(data)):
            data += chunk
        return data


def hold(path: Path, descriptor: int) -> None:
    """Locks what two runs must not write at once. Raises: OptionsError."""
    if lock_folder(descriptor, shared=False) is False:
        raise OptionsError(f"{path}: another run is writing it: wait for that, or name another")


def write_error(path: Path, error: OSError) -> ResultError:
    """For people; what is there by then can be gone on with."""
    return ResultError(
        f"{path}: cannot be written: {error.strerror or error}: free some space or check the path, "
        "then go on with --resume"
    )
