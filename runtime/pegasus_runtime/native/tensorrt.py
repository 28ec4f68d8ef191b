"""TensorRT under its two names, `tensorrt` (target trt) and `tensorrt_rtx` (target trt-rtx): which
library a target needs, and what it says.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from pegasus_runtime.errors import EngineError

__all__ = ["Flavour", "LibraryLog", "library_log", "load_flavour", "start_library"]

_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_ERRORS = ("INTERNAL_ERROR", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    title: str
    module: str
    tool: str
    install: str


_LIBRARIES: Mapping[str, _Library] = {
    "trt": _Library(
        title="TensorRT",
        module="tensorrt",
        tool="tensorrt",
        install="pip install 'pegasus-edge[trt]', or on a Jetson take the system's: "
        "python3 -m venv --system-site-packages",
    ),
    "trt-rtx": _Library(
        title="TensorRT for RTX",
        module="tensorrt_rtx",
        tool="tensorrt-rtx",
        install="pip install 'pegasus-edge[rtx]'",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flavour:
    """One imported TensorRT.

    title: its name in messages; tool: its name in a manifest's `tools`; module: what was imported.
    """

    target: str
    title: str
    tool: str
    module: ModuleType

    @property
    def version(self) -> str:
        """Of the library; plans are loaded by the version that built them."""
        return str(self.module.__version__)


def load_flavour(target: str) -> Flavour:
    """Imports the TensorRT of a target.

    Raises: EngineError for other targets, and if the library is missing or cannot be loaded.
    """
    library = _LIBRARIES.get(target)
    if library is None:
        expected = " or ".join(_LIBRARIES)
        raise EngineError(f"target {target!r} is not one of TensorRT's: expected {expected}")
    try:
        module = importlib.import_module(library.module)
    except ImportError as err:  # also that of a shared library that is not there
        raise EngineError(f"{library.title} cannot be imported ({err}): {library.install}") from err
    return Flavour(target=target, title=library.title, tool=library.tool, module=module)


def start_library(
    make: Callable[[Any], Any], logger: Any, title: str, explain: Callable[[], str]
) -> Any:
    """A Builder or a Runtime, whichever `make` makes.

    title: the library and its version. explain: what it said. Raises: EngineError if it makes none,
    for a driver that is too old, say: its bindings raise TypeError for a null pointer (pybind11).
    """
    try:
        return make(logger)
    except TypeError as err:
        raise EngineError(
            f"{title} cannot start: {explain()}: update the NVIDIA driver, or install what is for "
            "its version of CUDA"
        ) from err


class LibraryLog(Protocol):
    """What a library says; the library takes it for one of its own loggers."""

    sink: Callable[[str, str], object] | None
    """Takes severity and message of everything that is said, while there is one."""

    def take_error(self) -> str:
        """The last error since the call before that no sink took, in one line."""


def library_log(library: Any) -> LibraryLog:
    """The log of a library: one for all, because a library keeps to the first that it is given.

    Warnings go to Python's logging, under this module's name.
    """
    with _LOCK:  # two threads that load at once would each make one
        return _make_log(library)


@functools.cache
def _make_log(library: Any) -> LibraryLog:
    class Log(library.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.sink: Callable[[str, str], object] | None = None
            self._error = ""

        def log(self, severity: Any, message: str) -> None:
            sink, line = self.sink, " ".join(message.split())
            if sink is not None:
                sink(severity.name, message)
            elif severity.name in _ERRORS:
                self._error = line
            elif severity.name == "WARNING":
                # Not warnings.warn: where that raises, C++ would end the process.
                _LOG.warning("%s: %s", library.__name__, line)

        def take_error(self) -> str:
            error, self._error = self._error, ""
            return error or f"{library.__name__} gave no reason"

    log: LibraryLog = Log()
    return log
