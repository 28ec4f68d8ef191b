"""Names of the folders beside an output while it is written, and what is left of them by a crash.

    .NAME.pegasus-partial-<random>    a bundle being written; or, when it has changed places with
                                      the old one, that one, to be deleted
    .NAME.pegasus-replaced-<random>   the old bundle, where a system takes two steps to replace it

Their writer has them locked (`folder_lock.py`): one that nobody has locked is dead.
"""

import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Literal

from pegasus_runtime.bundle.folder_lock import hold_alone
from pegasus_runtime.bundle.when_free import when_free

__all__ = ["clear_leftovers", "sibling_of"]

_NAME_BYTES = 200  # a file system takes 255
_PATTERN = re.compile(r"\.(.+)\.pegasus-(partial|replaced)-[0-9a-f]{16}", re.DOTALL)


def sibling_of(output: Path, role: Literal["partial", "replaced"]) -> Path:
    """A new name beside the output."""
    return output.with_name(f".{_short(output.name)}.pegasus-{role}-{secrets.token_hex(8)}")


def clear_leftovers(output: Path) -> None:
    """Removes what killed processes left beside `output`, of any name, or puts it back.

    Raises: OSError if what was replaced cannot be put back.
    """
    for path in sorted(output.parent.iterdir()):
        match = _PATTERN.fullmatch(path.name)
        if match is None or path.is_symlink():
            continue
        with hold_alone(path) as is_dead:
            if is_dead:
                _clear(path, match[1], match[2], output)


def _clear(path: Path, short: str, role: str, output: Path) -> None:
    name = output.name if short == _short(output.name) else short
    place = output.with_name(name)
    if role == "partial" or os.path.lexists(place):
        shutil.rmtree(path, ignore_errors=True)
    elif name == output.name or len(os.fsencode(name)) < _NAME_BYTES:  # not shortened
        when_free(lambda: os.rename(path, place))


def _short(name: str) -> str:
    """The name, or the beginning of a long one and a hash of all."""
    encoded = os.fsencode(name)
    if len(encoded) < _NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _NAME_BYTES - 17].decode(errors='ignore')}~{digest}"
