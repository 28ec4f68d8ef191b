"""The exit codes that mean the same in every command; 1 is the command's own, 0 is success."""

__all__ = ["EXIT_INPUT", "EXIT_INTERRUPTED"]

EXIT_INPUT = 2
"""The arguments, or what they name, are unusable."""
EXIT_INTERRUPTED = 130
