"""A file written anew: it is whole at any time, and no link is followed to another."""

import os
import secrets
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file beside `path`, of a name that nobody can guess, and gives it that name.

    A link of that name is replaced, not what it leads to. Raises: OSError, and leaves `path` as it
    was.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}.pegasus-unfinished")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o666), "wb") as file:
            file.write(data)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
