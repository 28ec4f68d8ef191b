"""Run a command, and measure its time and the peak memory of its whole process tree.

Peak memory is the resident memory of all processes of the tree added up, sampled every 50 ms; at
least the kernel's own high-water mark of the largest process (``ru_maxrss``), which no sampling can
miss. Shared pages count once per process, so trees of forked workers look larger than they are.
Linux counts the parent's memory at the fork into ``ru_maxrss``: keep the measuring process small.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_INTERVAL_S = 0.05
LOG_TAIL_LINES = 25


class CommandError(RuntimeError):
    """The measured command did not exit with 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run of a command cost."""

    wall_s: float
    peak_rss_bytes: int


def measure_command(command: Sequence[str | Path], *, log: Path) -> Measurement:
    """Runs ``command`` to its end, its output in the file ``log``.

    Raises: CommandError for an exit status other than 0; it ends with the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    samples: list[int] = []
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        finished = threading.Event()
        sampler = threading.Thread(target=_sample, args=(process.pid, samples, finished))
        sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            finished.set()
            sampler.join()
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        shown = " ".join(str(part) for part in command)
        raise CommandError(
            f"exit status {process.returncode} from: {shown}\nlast lines of {log}:\n{tail}"
        )
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measurement(wall_s=wall_s, peak_rss_bytes=max([largest, *samples]))


def folder_bytes(folder: Path) -> int:
    """The size of all files below ``folder``; a file with several names counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            facts = path.stat()
            sizes[facts.st_dev, facts.st_ino] = facts.st_size
    return sum(sizes.values())


def _sample(pid: int, samples: list[int], finished: threading.Event) -> None:
    while not finished.wait(SAMPLE_INTERVAL_S):
        total = 0
        try:
            root = psutil.Process(pid)
            for member in (root, *root.children(recursive=True)):
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # one has ended in between: the next sample will do
        samples.append(total)
