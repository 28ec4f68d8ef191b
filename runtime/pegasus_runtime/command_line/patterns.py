"""`*.txt`, which shells of Unix replace by the files' names, and cmd.exe and PowerShell do not."""

import glob
from collections.abc import Sequence

__all__ = ["expand_patterns"]


def expand_patterns(arguments: Sequence[str]) -> list[str]:
    """With the names of the files in place of each argument with * or ? that is a pattern of some.

    Others stay as they are, as in a shell. [ and ] are letters of names, as on Windows.
    """
    expanded: list[str] = []
    for argument in arguments:
        is_pattern = not argument.startswith("-") and any(char in argument for char in "*?")
        found = sorted(glob.glob(argument.replace("[", "[[]"))) if is_pattern else []
        expanded += found or [argument]
    return expanded
