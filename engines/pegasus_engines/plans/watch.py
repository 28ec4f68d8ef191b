"""What TensorRT calls while it parses and builds: a log that keeps the errors, and a progress."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO, TypeAlias

from pegasus_runtime.native.tensorrt import library_log

__all__ = ["BuildLog", "OnProgress", "make_monitor", "record_build", "silent"]

OnProgress: TypeAlias = Callable[[int, int], object]
"""Called with the steps done and their total, from a thread that is not the caller's."""

_MAX_SHOWN = 400  # characters of an error: TensorRT names every internal file that it passed


def silent(done: int, total: int) -> None:
    """Shows nothing."""


class BuildLog:
    """What TensorRT said during one build: errors are kept, all is written to a file if there is
    one."""

    def __init__(self, file: TextIO | None, path: Path | None) -> None:
        self.errors: list[str] = []
        self._file = file
        self._path = path
        self._lock = threading.Lock()

    def write(self, severity: str, message: str) -> None:
        """Takes one message; from any thread."""
        with self._lock:
            if severity in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(" ".join(message.split()))
            if self._file is not None:
                self._file.write(f"[{severity}] {message}\n")

    def explain(self) -> str:
        """What went wrong, in one line: the first error is the cause, the others follow from it."""
        first = self.errors[0] if self.errors else "it gave no reason"
        if len(first) > _MAX_SHOWN:
            first = f"{first[:_MAX_SHOWN]}..."
        if self._path is not None:
            return f"{first} (all messages: {self._path})"
        return first


_one_build = threading.Lock()


@contextmanager
def record_build(module: ModuleType, log_file: Path | None) -> Iterator[tuple[Any, BuildLog]]:
    """A logger for TensorRT, and the log that its messages come to while the context lasts.

    log_file: messages of all severities are appended to it. One build at a time: others wait.
    Raises: OSError if the file cannot be written.
    """
    with _one_build:
        logger = library_log(module)
        file = None if log_file is None else log_file.open("a", encoding="utf-8")
        try:
            log = BuildLog(file, log_file)
            logger.sink = log.write
            yield logger, log
        finally:
            logger.sink = None
            if file is not None:
                file.close()


def make_monitor(module: ModuleType, on_progress: OnProgress) -> Any:
    """An IProgressMonitor that reports the steps of the outermost phase, and can end the build.

    Set `cancelled`, and the build ends at its next step. An exception of `on_progress` ends it too
    and is kept in `failure`.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[misc, name-defined]  # a class at run time
        def __init__(self) -> None:
            super().__init__()
            self.cancelled = False
            self.failure: BaseException | None = None
            self._totals: dict[str, int] = {}
            self._lock = threading.Lock()

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            if parent is None:
                self._report(phase, 0, num_steps)

        def step_complete(self, phase: str, step: int) -> bool:
            if phase in self._totals:  # steps count from 0
                self._report(phase, step + 1, self._totals[phase])
            return not self.cancelled

        def phase_finish(self, phase: str) -> None:
            if phase in self._totals and not self.cancelled:
                self._report(phase, self._totals[phase], self._totals[phase])

        def _report(self, phase: str, done: int, total: int) -> None:
            with self._lock:
                self._totals[phase] = total
                try:
                    on_progress(done, total)
                except BaseException as err:  # it would be lost in TensorRT
                    self.failure = self.failure or err
                    self.cancelled = True

    return Monitor()
