"""Standard output for results, standard error for notes, in whatever state they are handed over.

closed          /dev/null takes its descriptor, which a model's file would get otherwise
full, no reader a note is lost and nothing else; a result is a ResultError
Windows console characters, not bytes, which it would read in a code page of its own
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from pegasus_runtime.command_line.signals import HoldSignals

__all__ = ["ReaderGoneError", "ResultError", "open_streams", "write_result"]


_STD_ERROR_HANDLE = -12  # winbase.h
_VIRTUAL_TERMINAL = 4  # ENABLE_VIRTUAL_TERMINAL_PROCESSING of consoleapi.h


class ResultError(Exception):
    """Standard output does not take a result."""


class ReaderGoneError(ResultError):
    """Whoever read the results has gone, as `| head` does when it has enough."""


class _Forgiving(io.TextIOWrapper):
    """Takes every text: what cannot be written is lost."""

    has_escapes = True
    """Whether \\x1b[K does what it says: not on consoles of Windows before 10."""

    def write(self, text: str) -> int:
        if not self.has_escapes:
            text = text.replace("\x1b[K", "")
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            return


def open_streams() -> None:
    """Gives a process three open descriptors, and texts to them never raise but in `write_result`.

    It comes before all else: what is opened gets the lowest descriptor that is free.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # who reads a closed stream, or writes a result to it, is to find out
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
            os.set_inheritable(descriptor, True)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _forgiving(1, sys.stdout)  # for what libraries print
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = stream = _forgiving(2, sys.stderr)
        if _is_console(2):
            stream.has_escapes = _enable_escapes()


def _is_console(descriptor: int) -> bool:
    """Whether it is a console of Windows, whose programs write UTF-16."""
    return sys.platform == "win32" and os.isatty(descriptor)


def _enable_escapes(find_library: Callable[[], Any] | None = None) -> bool:
    """Whether the console on standard error reads escape sequences from now on."""
    import ctypes

    console = find_library() if find_library else ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle, mode = console.GetStdHandle(_STD_ERROR_HANDLE), ctypes.c_uint32()
    if not console.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(console.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL))


def _forgiving(descriptor: int, before: TextIO | None) -> _Forgiving:
    # Without a buffer, which would try again, and write twice where a signal comes in between. Of
    # a console of Windows, open makes the stream that writes UTF-16.
    return _Forgiving(
        open(descriptor, "wb", buffering=0, closefd=False),
        encoding="utf-8" if before is None else before.encoding,
        errors="backslashreplace",
        write_through=True,
    )


def write_result(text: str) -> None:
    """Writes all of a text, or nothing of it where a signal comes before its first byte is out.

    In UTF-8 whatever the locale; a file name that is no Unicode becomes what JSON escapes it to.
    Raises: ResultError.
    """
    try:
        if sys.stdout is None:
            raise OSError("Bad file descriptor")
        try:
            descriptor = sys.stdout.fileno()
        except io.UnsupportedOperation:  # a stream in memory
            sys.stdout.write(text)
            return
        sys.stdout.flush()  # of what libraries have printed
        write = sys.stdout.buffer.write if _is_console(descriptor) else None
        _write_whole(descriptor, text.encode("utf-8", "backslashreplace"), write)
    except BrokenPipeError as err:
        raise ReaderGoneError("standard output has no reader any more") from err
    except OSError as err:
        raise ResultError(
            f"standard output cannot be written: {err.strerror or err}: free some space, or send "
            "it somewhere else"
        ) from err


def _write_whole(
    descriptor: int, data: bytes, write: Callable[[memoryview], int] | None = None
) -> None:
    """write: in place of os.write; it returns how many bytes it took."""
    _wait_for_room(descriptor)
    left = memoryview(data)
    with HoldSignals():
        while left:
            try:
                left = left[write(left) if write else os.write(descriptor, left) :]
            except BlockingIOError:  # somebody else made it non-blocking
                _wait_for_room(descriptor)


def _wait_for_room(descriptor: int) -> None:
    """Until a pipe's reader has read on: then nothing of a line is out, and signals do not wait."""
    import select

    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.poll()
