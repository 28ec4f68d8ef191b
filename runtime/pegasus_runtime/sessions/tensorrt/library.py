"""TensorRT and TensorRT for RTX: which library a bundle needs, and what it says when it fails."""

from __future__ import annotations

import functools
import importlib
import logging
from typing import Any, Protocol

from pegasus_runtime.bundle import Target
from pegasus_runtime.errors import EngineError

__all__ = ["LibraryLog", "import_library", "library_log", "library_version"]

_LOG = logging.getLogger(__name__)
_MODULES: dict[Target, tuple[str, str]] = {
    "trt": (
        "tensorrt",
        "pip install 'pegasus-edge[trt]', or on a Jetson take the system's with python3 -m venv "
        "--system-site-packages",
    ),
    "trt-rtx": ("tensorrt_rtx", "pip install 'pegasus-edge[rtx]'"),
}


class LibraryLog(Protocol):
    """What a library says; the library takes it for one of its own loggers."""

    def take_error(self) -> str:
        """The last error since the call before, in one line."""


def import_library(target: Target) -> Any:
    """The module of a target. Raises: EngineError if it is not installed."""
    module, install = _MODULES[target]
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise EngineError(
            f"{module} is not installed, or not all of it ({err}): {install}, or use a bundle of "
            "--target ort"
        ) from err


def library_version(library: Any) -> str:
    """What a plan must have been built with: TensorRT loads those of its very own version only."""
    return str(library.__version__)


@functools.cache
def library_log(library: Any) -> LibraryLog:
    """The log of a library: one for all, because a library keeps to the first that it is given.

    Warnings go to Python's logging, under this module's name.
    """

    class Log(library.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self._error = ""

        def log(self, severity: Any, message: str) -> None:
            line = " ".join(message.split())
            if severity in (library.ILogger.INTERNAL_ERROR, library.ILogger.ERROR):
                self._error = line
            elif severity == library.ILogger.WARNING:
                # Not warnings.warn: where that raises, C++ would end the process.
                _LOG.warning("%s: %s", library.__name__, line)

        def take_error(self) -> str:
            error, self._error = self._error, ""
            return error or f"{library.__name__} gave no reason"

    log: LibraryLog = Log()
    return log
