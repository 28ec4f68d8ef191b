"""Cases tried in processes that are replaced when one ends them, or is at it for too long."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from attack.bases import Bases
from attack.outcome import BAD, Outcome, Verdict, announced

__all__ = ["child_environment", "run_cases"]

CASES_PER_WORKER = 250  # what native libraries leak is given back
START_S = 120.0
MAX_RESIDENT_BYTES = 3 * 2**30
_LOOK_S = 0.1


def run_cases(
    part: str,
    bases: Bases,
    work: Path,
    cases: Sequence[int],
    *,
    seed: int,
    timeout_s: float,
    num_workers: int = 1,
    is_series: bool = False,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Tries each case; in the order in which they end. What is bad is tried again by itself, unless
    the cases are a series."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    done: list[Outcome] = []

    def work_off(number: int) -> None:
        folder = work / f"{part}-{number}"
        worker = _Worker(part, bases, folder)
        while not waiting.empty():
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                break
            outcome = worker.try_case(seed, case, timeout_s)
            if outcome.verdict in BAD and worker.num_tried > 1 and not is_series:
                worker.close()  # an earlier case may be the one at fault
                outcome = worker.try_case(seed, case, timeout_s)
            outcome = replace(outcome, short=bases.short)
            done.append(outcome)
            on_outcome(outcome)
            if outcome.verdict in BAD or worker.num_tried >= CASES_PER_WORKER:
                worker.close()
        worker.close()
        shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(num_workers) as threads:
        list(threads.map(work_off, range(num_workers)))  # which raises what they raised
    return done


class _Worker:
    """One process at a time."""

    def __init__(self, part: str, bases: Bases, folder: Path) -> None:
        self.part, self.bases, self.folder = part, bases, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.num_tried, self.is_large = 0, False

    def try_case(self, seed: int, case: int, timeout_s: float) -> Outcome:
        if self.process is None:
            self._start()
        self.num_tried += 1
        with contextlib.suppress(BrokenPipeError):  # it has gone: there will be no line
            os.write(self.ask, json.dumps({"seed": seed, "case": case}).encode() + b"\n")
        line = self._read_line(timeout_s)
        if line:
            fields: dict[str, Any] = json.loads(line)
            return Outcome(**fields | {"verdict": Verdict(fields["verdict"])})
        what, is_foreign = announced(self.folder)
        verdict, found = self._end(timeout_s, is_hung=line is None)
        if is_foreign:
            verdict = Verdict.FOREIGN
        return Outcome(
            part=self.part, seed=seed, case=case, verdict=verdict, what=what, found=found
        )

    def _start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        asked, self.ask = os.pipe()
        self.hear, told = os.pipe()
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "attack.worker", self.part, str(self.bases.root)),
                    "short" if self.bases.short else "all",
                    *(str(self.folder), str(asked), str(told)),
                ],
                pass_fds=(asked, told),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(self.folder),
                start_new_session=True,
            )
        os.close(asked)
        os.close(told)
        self.num_tried, self.is_large = 0, False
        if self._read_line(START_S) != b"ready\n":
            text = (self.folder / "log").read_text("utf-8", "replace")
            self.close()
            raise RuntimeError(f"a worker of {self.part} does not start: {text[-2000:]}")

    def _read_line(self, timeout_s: float) -> bytes | None:
        """b"" if the process has gone, None if there is no line in time."""
        text, end = b"", time.monotonic() + timeout_s
        while not text.endswith(b"\n"):
            if not select.select([self.hear], [], [], _LOOK_S)[0]:
                if time.monotonic() > end:
                    return None
                self._end_if_large()
                continue
            chunk = os.read(self.hear, 2**16)
            if not chunk:
                return b""
            text += chunk
        return text

    def _end_if_large(self) -> None:
        assert self.process is not None
        if self.is_large:
            return
        with contextlib.suppress(OSError, IndexError):
            pages = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]
            self.is_large = int(pages) * resource.getpagesize() > MAX_RESIDENT_BYTES
            if self.is_large:
                self.process.kill()

    def _end(self, timeout_s: float, *, is_hung: bool) -> tuple[Verdict, str]:
        process = self.process
        assert process is not None
        if is_hung:
            self.close()
            return Verdict.HANG, f"over {timeout_s:g} s"
        code = process.wait()
        log = (self.folder / "log").read_text("utf-8", "replace").strip()[-400:]
        self.close()
        if self.is_large:
            return Verdict.CRASH, f"memory over {MAX_RESIDENT_BYTES >> 20} MiB"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Verdict.CRASH, f"{name} {log}".strip()

    def close(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            os.close(self.ask)
            os.close(self.hear)
            self.process = None


def child_environment(folder: Path) -> dict[str, str]:
    """That of this process, with the same modules, and folders of its own to leave things in."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
