"""Ends what runs in a native library, which looks at nothing of ours until it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

__all__ = ["Interrupt"]

_POLL_S = 0.01


class Interrupt:
    """Asks every 10 ms, in a thread of its own, whether what runs meanwhile is to end.

    The thread is there within a `with` block, and asks nothing between two runs. One object is for
    one thread that runs one thing after another; each run is ended by what it came with, so none
    is ended in the place of the next.

        with Interrupt(check) as interrupt:
            with interrupt.ending(terminate):
                run()
    """

    def __init__(self, check: Callable[[], None]) -> None:
        """check: raises what is to end a run; from then on, all others end as they begin."""
        self.check = check
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._terminate: Callable[[], None] | None = None
        """Of what runs now."""
        self._error: BaseException | None = None
        """What `check` raised."""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Interrupt:
        thread = threading.Thread(target=self._watch, name="pegasus-interrupt", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had, as when the interpreter ends
            return self  # then it ends between two runs, where its caller looks, too
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def ending(self, terminate: Callable[[], None]) -> Iterator[None]:
        """While it lasts, what runs is ended by `terminate`, which is called from another thread.

        Raises: what `check` raised, in place of what the run raises when it is ended.
        """
        with self._lock:
            self._terminate = terminate
        try:
            if self._error is None:  # or nothing is to begin any more
                yield
        finally:
            with self._lock:
                self._terminate = None
            if self._error is not None:
                raise self._error

    def _watch(self) -> None:
        while not self._ends.wait(_POLL_S):
            if self._terminate is None:
                continue
            try:
                self.check()
            except BaseException as err:  # it is raised where the run is
                with self._lock:
                    self._error = err
                    if self._terminate is not None:
                        self._terminate()
                return
