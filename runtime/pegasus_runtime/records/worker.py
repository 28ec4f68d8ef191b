"""A process that answers windows: what its parent sends on standard input, until that ends.

A thread waits for the end, so that a process whose parent was killed is gone at once, whatever it
computes. What libraries print goes to standard error: standard output is the answers'.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from pegasus_runtime.errors import PegasusError
from pegasus_runtime.records.job import Opener

__all__ = ["main"]


def main() -> None:
    """First an Opener comes, then texts again and again; ("done", number) and ("answers", list) go.

    ("ready", identity) goes when it is open, ("error", PegasusError) instead of any of these.
    """
    for name in ("SIGINT", "SIGHUP", "SIGBREAK"):  # the parent's affair, which ends this one
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    asked, told = _take_streams()
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(asked, waiting), daemon=True).start()

    def send(kind: str, what: object) -> None:
        pickle.dump((kind, what), told)
        told.flush()

    try:
        _answer(waiting, send)
    except PegasusError as err:
        send("error", err)
    except BrokenPipeError:
        pass
    os._exit(1)  # not before the thread lets go of its stream, which it never does


def _answer(waiting: queue.SimpleQueue[Any], send: Callable[[str, object], None]) -> None:
    opener: Opener = waiting.get()
    with opener.open() as answering:
        send("ready", answering.identity)
        while True:
            texts = waiting.get()
            answers = answering.answer(texts, lambda number: send("done", number))
            send("answers", answers)


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    asked, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = sys.stderr
    return asked, told


def _read(asked: BinaryIO, waiting: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            waiting.put(pickle.load(asked))
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)
