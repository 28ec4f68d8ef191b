"""This Python in a process of its own, which imports nothing from the folder that it runs in."""

import sys

__all__ = ["child_python"]

# `-m` and `-c` put the current folder before all others, where a checkpoint's argparse.py would be
# found first; `-P`, which does not, is of Python 3.11. Before this line only the site's own ran.
_WITHOUT_CURRENT = "import sys; sys.path[:] = [path for path in sys.path if path]; "


def child_python(program: str) -> list[str]:
    """The command that runs a program in one line; what follows it are its `sys.argv[1:]`."""
    return [sys.executable, "-c", _WITHOUT_CURRENT + program]
