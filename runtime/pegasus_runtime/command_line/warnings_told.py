"""What the packages log as a warning, told by a command as it tells everything else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pegasus_runtime.command_line.messages import note

__all__ = ["tell_warnings"]

_LOGGERS = ("pegasus_runtime", "pegasus_plugins", "pegasus_engines", "pegasus_export")


class _Notes(logging.Handler):
    def __init__(self, command: str) -> None:
        super().__init__(logging.WARNING)
        self.command = command

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a library in C++ may be the one that logs
            note(self.command, f"warning: {record.getMessage()}")


@contextmanager
def tell_warnings(command: str) -> Iterator[None]:
    """While it lasts, a line on standard error each, in place of logging's own."""
    handler = _Notes(command)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
