"""A command's exit code, for whatever goes wrong."""

import os
from collections.abc import Callable

from pegasus_runtime.command_line.exit_codes import EXIT_INPUT, EXIT_SIGNAL
from pegasus_runtime.command_line.messages import fail, note
from pegasus_runtime.command_line.signals import handle_signals, restore_signals, state
from pegasus_runtime.command_line.streams import ReaderGoneError, ResultError
from pegasus_runtime.command_line.warnings_told import tell_warnings

__all__ = ["CompleteOutput", "run_command"]

_SIGINT = 2


def run_command(
    command: str,
    run: Callable[[], int],
    *,
    exit_code: Callable[[Exception], int | None],
    failed: int,
) -> int:
    """Runs a command; its exit code, after one line on standard error for whatever went wrong.

    exit_code: of an error whose message says it all; None for others. failed: where a result cannot
    be written, or memory is short. After a signal, no error counts: it may be what that became.
    """
    before = handle_signals(command)
    try:
        with tell_warnings(command):
            return run()
    except ReaderGoneError:
        return 0
    except SystemExit:
        raise
    except BaseException as err:
        if state.received or isinstance(err, KeyboardInterrupt):
            return fail(command, state.says, EXIT_SIGNAL + (state.received or _SIGINT))
        if not isinstance(err, Exception):
            raise
        code = exit_code(err)
        if code is not None:
            return fail(command, str(err), code)
        if isinstance(err, ResultError):
            return fail(command, str(err), failed)
        if isinstance(err, MemoryError):
            return fail(command, f"not enough memory: {err}".rstrip(": "), failed)
        if isinstance(err, OSError):
            return fail(command, _describe(err), EXIT_INPUT)
        raise
    finally:
        restore_signals(before)


class CompleteOutput:
    """While it lasts, what a command made is told, which is complete however the telling ends."""

    def __init__(self, command: str, output: object) -> None:
        self.command, self.says = command, f"{output} is complete"

    def __enter__(self) -> None:
        state.says = f"interrupted: {self.says}"

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if isinstance(error, ReaderGoneError):
            note(self.command, f"{error}: {self.says}")
            return True
        if isinstance(error, ResultError):
            raise ResultError(f"{error}; {self.says}") from error
        return False


def _describe(error: OSError) -> str:
    """Of a path, mostly, which the system refuses: too long, a loop of links, not permitted."""
    name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{name}{error.strerror or error}: check the path"
