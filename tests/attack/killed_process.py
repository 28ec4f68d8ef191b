"""A command in a process of its own, which is sent a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attack.command_call import MODULES
from attack.pool import child_environment

__all__ = ["Killed", "start_and_kill"]

_END_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """How it ended; code is None where it did not."""

    code: int | None
    err: str

    @property
    def has_trace(self) -> bool:
        return "Traceback (most recent" in self.err or "Exception ignored" in self.err


def start_and_kill(
    command: str,
    arguments: Sequence[str],
    place: Path,
    number: signal.Signals | None,
    wait: Callable[[subprocess.Popen[bytes]], None],
    *,
    stdout: int = subprocess.DEVNULL,
    drain: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] | None = None,
) -> Killed:
    """wait: until the moment of the signal. number: None for none. drain: reads what is left."""
    (place / "tmp").mkdir(exist_ok=True)
    with (place / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULES[command], *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=err,
            cwd=place,
            env=child_environment(place) | dict(environment or {}),
            start_new_session=True,
        )
    if stdout != subprocess.DEVNULL:
        os.close(stdout)
    code = None
    try:
        wait(process)
        if number is not None:
            process.send_signal(number)
        drain()
        code = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Killed(code=code, err=(place / "err").read_text("utf-8", "replace"))
