"""Run a command, and measure its time and the peak memory of its whole process tree.

Peak memory is reported three ways, all in bytes:

- ``peak_rss_bytes``, the figure to quote: the resident memory of all processes of the tree added
  up, sampled every 50 ms from /proc; at least the kernel's own high-water mark of the largest
  process (``ru_maxrss``), which no sampling can miss.
- ``peak_anonymous_bytes``: the same sum over memory that no file backs (sampled only). Mapped
  weight files count in the first figure, not in this one.
- ``largest_process_bytes``: ``ru_maxrss``.

Shared pages count once per process, so trees of forked workers look larger than they are. Linux
counts the parent's memory at the fork into ``ru_maxrss``: keep the measuring process small.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import psutil

__all__ = [
    "CommandError",
    "Measurement",
    "describe_machine",
    "folder_bytes",
    "measure_command",
]

SAMPLE_INTERVAL_S = 0.05
LOG_TAIL_LINES = 25
REPORTED_PACKAGES = (
    "pegasus-edge",
    "ctranslate2",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "torch",
    "transformers",
)


class CommandError(RuntimeError):
    """The measured command did not exit with 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run of a command cost."""

    wall_s: float
    peak_rss_bytes: int
    peak_anonymous_bytes: int
    largest_process_bytes: int


@dataclass(slots=True)
class _Peaks:
    rss_bytes: int = 0
    anonymous_bytes: int = 0


def measure_command(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> Measurement:
    """Run ``command`` to its end, its output in the file ``log``.

    Raises:
        CommandError: exit status other than 0; the message ends with the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    peaks = _Peaks()
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=None if environment is None else dict(environment),
        )
        finished = threading.Event()
        sampler = threading.Thread(target=_sample, args=(process.pid, peaks, finished.is_set))
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
        raise CommandError(_failure_message(command, process.returncode, log))
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measurement(
        wall_s=wall_s,
        peak_rss_bytes=max(peaks.rss_bytes, largest),
        peak_anonymous_bytes=peaks.anonymous_bytes,
        largest_process_bytes=largest,
    )


def folder_bytes(folder: Path) -> int:
    """The size of all files below ``folder``; a file with several names counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            facts = path.stat()
            sizes[facts.st_dev, facts.st_ino] = facts.st_size
    return sum(sizes.values())


def describe_machine(repository: Path) -> dict[str, str | int]:
    """What a reader needs to judge the figures: hardware, versions, commit."""
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(repository),
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": ", ".join(
            f"{name} {version}" for name in REPORTED_PACKAGES if (version := _version(name))
        ),
    }


def _sample(pid: int, peaks: _Peaks, is_finished: Callable[[], bool]) -> None:
    while not is_finished():
        rss_bytes = anonymous_bytes = 0
        for member in _tree(pid):
            rss, anonymous = _resident_bytes(member)
            rss_bytes += rss
            anonymous_bytes += anonymous
        peaks.rss_bytes = max(peaks.rss_bytes, rss_bytes)
        peaks.anonymous_bytes = max(peaks.anonymous_bytes, anonymous_bytes)
        time.sleep(SAMPLE_INTERVAL_S)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident_bytes(process: psutil.Process) -> tuple[int, int]:
    """Resident memory, and the part that no file backs; (0, 0) for a process that has ended."""
    try:
        memory = process.memory_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0, 0
    return memory.rss, max(0, memory.rss - getattr(memory, "shared", 0))


def _failure_message(command: Sequence[str | Path], returncode: int, log: Path) -> str:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    shown = " ".join(str(part) for part in command)
    return f"exit status {returncode} from: {shown}\nlast lines of {log}:\n{tail}"


def _commit(repository: Path) -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit} with local changes" if git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
