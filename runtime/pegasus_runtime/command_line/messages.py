"""What a command says on standard error, one line each; and what it does when nobody reads on."""

import os
import sys

__all__ = ["discard_output", "fail", "note"]


def note(command: str, message: str) -> None:
    """One line on standard error."""
    print(f"{command}: {' '.join(message.splitlines())}", file=sys.stderr)


def fail(command: str, message: str, code: int) -> int:
    """Reports an error, and gives the exit code back."""
    note(command, f"error: {message}")
    return code


def discard_output() -> None:
    """Lets Python's own flush at exit succeed, which would print a traceback otherwise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
