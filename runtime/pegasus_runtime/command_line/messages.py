"""What a command says on standard error: one line each."""

import sys

__all__ = ["fail", "note"]


def note(command: str, message: str) -> None:
    """One line on standard error."""
    print(f"{command}: {' '.join(message.splitlines())}", file=sys.stderr)


def fail(command: str, message: str, code: int) -> int:
    """Reports an error, and gives the exit code back."""
    note(command, f"error: {message}")
    return code
