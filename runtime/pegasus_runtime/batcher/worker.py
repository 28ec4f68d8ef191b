"""The threads of a Batcher: they run batches until it is closed, or the interpreter ends."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Sequence

from pegasus_runtime.batcher.desk import Desk
from pegasus_runtime.batcher.request import Request

__all__ = ["Workers"]

RunBatch = Callable[[Desk, Sequence[Request]], None]
"""Settles all of them, and raises nothing."""


class Workers:
    """Threads that know the desk, and nothing of the Batcher: it may go before them."""

    def __init__(self, desk: Desk, run: RunBatch) -> None:
        """As many as the desk expects."""
        self.desk = desk
        self.process = os.getpid()
        self.threads: list[threading.Thread] = []
        atexit.register(self.stop)
        for number in range(desk.workers):
            name = f"pegasus-batcher-{number}"
            thread = threading.Thread(target=self._work, args=[run], name=name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        """Ends what runs, at the end of the interpreter: a native run may not outlive it."""
        if os.getpid() == self.process:
            self.desk.close(finish=False)
            self.join()

    def join(self) -> None:
        """Returns when all have ended."""
        for thread in self.threads:
            thread.join()

    def _work(self, run: RunBatch) -> None:
        try:
            while (requests := self.desk.next_batch()) is not None:
                run(self.desk, requests)
                del requests
        except BaseException as err:
            self.desk.break_down(err)
            raise
        finally:
            if not self.desk.workers:
                atexit.unregister(self.stop)
