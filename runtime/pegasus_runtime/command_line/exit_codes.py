"""The exit codes that mean the same in every command; 1 is the command's own, 0 is success."""

__all__ = ["EXIT_INPUT", "EXIT_SIGNAL"]

EXIT_INPUT = 2
"""The arguments, or what they name, are unusable."""
EXIT_SIGNAL = 128
"""And the signal's number: 130 after Ctrl-C, 143 after SIGTERM."""
