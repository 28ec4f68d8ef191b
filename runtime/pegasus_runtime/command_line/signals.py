"""What Ctrl-C, SIGTERM and SIGHUP do to a command: it ends with one line, and with whole lines.

Nothing is imported here that takes time, as these handlers come before all other imports. Inside a
library's import, KeyboardInterrupt becomes a traceback, or an ImportError as of a missing library.
"""

import _signal  # type: ignore[import-not-found]  # signal without its enums, which take 5 ms
import os

__all__ = ["HoldSignals", "UnwindOnSignals", "handle_signals", "restore_signals", "state"]

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
    try:
        clear = "\r\x1b[K" if os.isatty(2) else ""  # of a line that says how far it is
        os.write(2, f"{clear}{state.command}: error: {state.says}\n".encode())
    except OSError:  # nobody reads it; the exit code says it, too
        pass
    os._exit(128 + state.received)
