"""A file written anew: it is whole at any time, and no link is followed to another."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pegasus_runtime.bundle.when_free import when_free

__all__ = ["replace_file", "replacing_file"]


def replace_file(path: Path, data: bytes) -> None:
    """See `replacing_file`; the file has this content. Raises: OSError."""
    with replacing_file(path) as file:
        file.write(data)


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` to write to, of a name that nobody can guess; at the end it gets `path`.

    A link of that name is replaced, not what it leads to. What is neither a file nor a link stays:
    who may write to /dev could put a file in the place of /dev/null. Raises: OSError, and leaves
    `path` as it was, as does whatever ends the block.
    """
    if os.path.lexists(path) and not (path.is_symlink() or path.is_file()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    unfinished = path.with_name(f".{secrets.token_hex(8)}.pegasus-unfinished")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o666), "wb") as file:
            yield file
        when_free(lambda: unfinished.replace(path))
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
