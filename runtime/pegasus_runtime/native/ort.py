"""ONNX Runtime, imported here and nowhere else: so that nobody is told what it runs.

From 1.31 on, its import under Linux makes a device id and a database in the user's cache, and
threads that send Microsoft what was loaded and which errors there were.
"""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.heap import limit_heaps
from pegasus_runtime.native.import_failure import explain_import_error

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["check_process", "import_onnxruntime", "open_session", "silence_onnxruntime"]

_sessions: weakref.WeakSet[onnxruntime.InferenceSession] = weakref.WeakSet()
_of_parents: list[onnxruntime.InferenceSession] = []
"""Those that were there when this process was forked."""


@functools.cache
def import_onnxruntime(*, extra: str = "cpu") -> ModuleType:
    """The library without telemetry, which PEGASUS_ORT_TELEMETRY=1 leaves as it is.

    extra: the one of this package that installs it. Raises: EngineError if it is not installed.
    """
    is_silent = silence_onnxruntime()
    try:
        import onnxruntime
    except ImportError as err:
        install = f"pip install 'pegasus-edge[{extra}]'"
        raise explain_import_error(err, "onnxruntime", install) from err
    module: ModuleType = onnxruntime
    if is_silent:  # if somebody imported it before, with telemetry, it is told less at least
        module.disable_telemetry_events()
    return module


def silence_onnxruntime() -> bool:
    """For libraries and processes that import it by themselves; whether that was done."""
    is_silent = os.environ.get("PEGASUS_ORT_TELEMETRY") != "1"
    if is_silent:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return is_silent


def open_session(
    path: Path,
    options: onnxruntime.SessionOptions,
    providers: Sequence[str | tuple[str, dict[str, str]]],
) -> onnxruntime.InferenceSession:
    """A graph that is loaded. Raises: EngineError without the library, and what that raises.

    Processes that are forked leave it alone, rather than destroy it when they end: they would
    wait for its threads, which they have not.
    """
    library = import_onnxruntime()
    limit_heaps()
    session = library.InferenceSession(str(path), options, providers=list(providers))
    _register()
    _sessions.add(session)
    return session


@functools.cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):  # not under Windows, which does not fork
        os.register_at_fork(after_in_child=_hold_sessions)


def check_process(session: onnxruntime.InferenceSession) -> None:
    """Raises: EngineError in a process that was forked since it was opened: it would wait for its
    threads for ever."""
    if any(session is each for each in _of_parents):
        raise EngineError(
            "the bundle was loaded before this process was forked, which has none of its threads: "
            "load it after the fork, or start processes with multiprocessing's 'spawn'"
        )


def _hold_sessions() -> None:
    """By a reference that nobody gives back, not even Python when it ends."""
    for session in list(_sessions):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
        _of_parents.append(session)
