"""A process that answers a JSON object a line with one, such as the generator of load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from harness.worker_process import BENCHMARKS, EXIT_TIMEOUT_S, WorkerError


class LineProcess:
    """A module of ours, run; close it, or use it in a ``with`` block."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        """log: a file for what it prints to stderr."""
        self.module, self.log = module, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=BENCHMARKS,
                text=True,
            )

    def ask(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: WorkerError if it ends instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass  # it has ended: there is no line
        if not line:
            status = self._process.wait(EXIT_TIMEOUT_S)
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise WorkerError(f"{self.module} ended with exit status {status}: {''.join(last)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def __enter__(self) -> LineProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
