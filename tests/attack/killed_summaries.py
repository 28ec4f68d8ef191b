"""Summaries that a signal ends: what was printed is whole lines, and no traceback follows."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
from pathlib import Path

from attack.bases import Bases
from attack.killed_process import Killed, start_and_kill
from attack.outcome import Verdict, announce

__all__ = ["try_kill"]

_PIPE_BYTES = 4096  # less than a line
_LONG_LINES = (
    *("--token-scores", "--num-beams=4", "--num-return-sequences=4", "--min-length=90"),
    "--max-length=96",
)
_DOCUMENTS = 12


def try_kill(
    bases: Bases, place: Path, number: signal.Signals, rng: random.Random
) -> tuple[str, Verdict, str]:
    """What was done, the verdict, and why."""
    early = rng.random() < 0.5
    moment = rng.uniform(0, 1.0) if early else rng.uniform(1.0, 4.0)
    what = (
        f"summarize {'a reader that stalls, ' if not early else ''}{number.name} at {moment:.2f} s"
    )
    announce(place.parent, what)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    printed = bytearray()

    def wait(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)

    def drain() -> None:
        while chunk := os.read(reading, 2**16):
            printed.extend(chunk)

    documents = [str(bases.document("short"))] * _DOCUMENTS
    arguments = [str(bases.bundle("pegasus")), *documents, "--json", "--threads=1", *_LONG_LINES]
    killed = start_and_kill(
        "summarize", arguments, place, number, wait, stdout=writing, drain=drain
    )
    os.close(reading)
    return what, *_judge(killed, number, printed.decode("utf-8", "replace"))


def _judge(killed: Killed, number: signal.Signals, printed: str) -> tuple[Verdict, str]:
    seen = f"exit code {killed.code}; {killed.err.strip()[-200:]}"
    if killed.code is None:
        return Verdict.HANG, seen
    if killed.has_trace:
        return Verdict.CRASH, seen
    if "not installed" in killed.err:
        return Verdict.WRONG, seen
    if killed.code not in (0, 128 + number, -number):
        return Verdict.WRONG, seen
    if number != signal.SIGKILL and not _are_whole(printed):
        return Verdict.WRONG, f"half a line: {printed[-60:]!r}; {seen}"
    return (Verdict.RIGHT if killed.code == 0 else Verdict.CLEAN), seen


def _are_whole(printed: str) -> bool:
    try:
        for line in printed.splitlines():
            json.loads(line)
    except ValueError:
        return False
    return printed == "" or printed.endswith("\n")
