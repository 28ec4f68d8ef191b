"""What a command says on standard error, one line each; and names in a line of a result."""

from __future__ import annotations

import sys

__all__ = ["escape_controls", "fail", "note"]


def note(command: str, message: str) -> None:
    """One line on standard error, if that takes it."""
    if sys.stderr is None:  # print would take standard output instead
        return
    try:
        print(f"{command}: {escape_controls(' '.join(message.splitlines()))}", file=sys.stderr)
    except OSError:
        return


def fail(command: str, message: str, code: int) -> int:
    """Reports an error, and gives the exit code back."""
    note(command, f"error: {message}")
    return code


def escape_controls(text: str) -> str:
    r"""What would break a line, its columns or a terminal, as in a string of Python.

    >>> print(escape_controls("two\nlines\tand\x1b[2J.txt"))
    two\nlines\tand\x1b[2J.txt
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _is_control(character) else character
        for character in text
    )


def _is_control(character: str) -> bool:
    """C0, DEL and C1, the two of Unicode that end lines, and what stands for no Unicode."""
    is_control = character < " " or "\x7f" <= character <= "\x9f"
    return is_control or character in "\u2028\u2029" or "\ud800" <= character <= "\udfff"
