"""Processes that share the windows of a run among them."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.child_python import child_python
from pegasus_runtime.native.processors import usable_processors
from pegasus_runtime.records.job import OnDone, Opener
from pegasus_runtime.records.window import Answer

__all__ = ["Workers", "threads_each"]

_PROGRAM = "from pegasus_runtime.records.worker import main; main()"
_END_S = 5.0


def threads_each(workers: int, cores: int | None = None) -> int:
    """Engine threads of each of so many processes: the cores of this one, shared out."""
    return max(1, (cores or usable_processors() or os.cpu_count() or 1) // workers)


class _Worker:
    """One process; asked by one thread at a time."""

    def __init__(self, opener: Opener, number: int) -> None:
        self.number = number
        self.process = subprocess.Popen(
            child_python(_PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(opener)

    def _send(self, what: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has gone: see `hear`
            pickle.dump(what, self.process.stdin)
            self.process.stdin.flush()

    def hear(self, awaited: str, on_done: OnDone = lambda number: None) -> Any:
        """Raises: the PegasusError that it ended with; EngineError where it just ended."""
        assert self.process.stdout is not None
        while True:
            try:
                kind, what = pickle.load(self.process.stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError) as err:
                raise EngineError(self._describe_end()) from err
            if kind == "error":
                raise what
            if kind == awaited:
                return what
            on_done(what)

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        self._send(list(texts))
        answers: list[Answer] = self.hear("answers", on_done)
        return answers

    def _describe_end(self) -> str:
        try:
            code = self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return f"worker {self.number} does not answer: go on with --resume"
        how = f"signal {-code}, maybe as memory was short" if code < 0 else f"exit code {code}"
        return f"worker {self.number} ended ({how}): go on with --resume and fewer --workers"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Workers:
    """So many processes, each with a model of its own; a context manager that ends them.

    Answers as `Answering` does, to as many threads at a time.
    """

    def __init__(self, opener: Opener, count: int) -> None:
        """Raises: what opening raises; BundleError where they opened different models."""
        self.all: list[_Worker] = []
        try:
            for number in range(1, count + 1):
                self.all.append(_Worker(opener, number))
            identities = [worker.hear("ready") for worker in self.all]
        except BaseException:
            self.close()
            raise
        if len(set(identities)) > 1:
            self.close()
            raise BundleError("the bundle was replaced while it was loaded: start again")
        self.identity: str = identities[0]
        self.idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self.all:
            self.idle.put(worker)

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        """By whichever has time. Raises: what it ended with, for which the others stay."""
        worker = self.idle.get()
        try:
            return worker.answer(texts, on_done)
        finally:  # nobody waits for one that has gone: it says so again
            self.idle.put(worker)

    def close(self) -> None:
        """Ends all of them at once."""
        for worker in self.all:
            worker.kill()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
