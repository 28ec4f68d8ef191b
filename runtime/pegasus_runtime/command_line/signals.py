"""What Ctrl-C, SIGTERM and SIGHUP do to a command: it ends with one line, and with whole lines.

Nothing is imported here that takes time, as these handlers come before all other imports. Inside a
library's import, KeyboardInterrupt becomes a traceback, or an ImportError as of a missing library.
"""

import _signal  # type: ignore[import-not-found]  # signal without its enums, which take 5 ms
import _thread
import os
import time

__all__ = [
    "HoldSignals",
    "UnwindOnSignals",
    "answer_at_once",
    "handle_signals",
    "restore_signals",
    "state",
]

_GRACE_S = 0.1

_NUMBERS = tuple(
    getattr(_signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last: Windows' Ctrl-Break
    if hasattr(_signal, name)
)


class _State:
    """Of this process, which has one set of handlers."""

    command = ""
    says = "interrupted"
    """What the one line says."""
    received = 0
    """The number of the signal that came last; 0 before."""
    is_held = False
    """Whether a line is half written: the first signal waits for its other half."""
    ends_at_once = False
    """Whether nothing has to be cleaned up: the process ends where it stands. Otherwise a signal
    raises KeyboardInterrupt."""


state = _State()
_end_lock = _thread.allocate_lock()
"""Whoever has it ends the process."""


def handle_signals(command: str) -> dict[int, object]:
    """Takes the signals, but for those that whoever started the process had ignored (nohup).

    Returns the handlers that were there; none where this is not the main thread.
    """
    state.command, state.says, state.received = command, "interrupted", 0
    before: dict[int, object] = {}
    try:
        for number in _NUMBERS:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                before[number] = _signal.signal(number, _receive)
    except ValueError:  # not the main thread
        pass
    return before


def answer_at_once() -> None:
    """Has signals end this process while a native library runs, too, for which Python's handlers
    wait: the encoder takes seconds for a long document.

    The main thread has a tenth of a second to take a signal by itself, as it does in Python: it
    alone knows of a line that is half written. A thread ends the process otherwise, unless there is
    something to be cleaned up. Standard streams have to be open.
    """
    try:
        reading, writing = os.pipe()
        if os.name != "nt":
            os.set_blocking(writing, False)
        _signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        _thread.start_new_thread(_read_signals, (reading,))
    except (OSError, RuntimeError, ValueError):  # no more files or threads, or not the main thread
        pass


def _read_signals(reading: int) -> None:
    while received := os.read(reading, 1):
        time.sleep(_GRACE_S)
        is_held = state.is_held or not state.ends_at_once  # whoever holds it ends it then
        if received[0] in _NUMBERS and not state.received and not is_held:
            state.received = received[0]
            _end()


def restore_signals(before: dict[int, object]) -> None:
    for number, handler in before.items():
        _signal.signal(number, handler)


class HoldSignals:
    """While it lasts, the first signal waits; a second one does not."""

    def __enter__(self) -> None:
        state.is_held = True

    def __exit__(self, *error: object) -> None:
        state.is_held = False
        if state.received:
            _end()


class UnwindOnSignals:
    """While it lasts, signals raise KeyboardInterrupt, as there are files to be cleaned up."""

    def __enter__(self) -> None:
        self.before, state.ends_at_once = state.ends_at_once, False

    def __exit__(self, *error: object) -> None:
        state.ends_at_once = self.before


def _receive(number: int, frame: object) -> None:
    is_first, state.received = not state.received, number
    if not (state.is_held and is_first):
        _end()


def _end() -> None:
    if not state.ends_at_once:
        raise KeyboardInterrupt
    _end_lock.acquire()
    try:
        clear = "\r\x1b[K" if os.isatty(2) else ""  # of a line that says how far it is
        os.write(2, f"{clear}{state.command}: error: {state.says}\n".encode())
    except OSError:  # nobody reads it; the exit code says it, too
        pass
    os._exit(128 + state.received)
