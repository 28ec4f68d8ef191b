"""An engine in a process of its own, asked over a pipe (see protocol.py)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from harness.protocol import Ready, Reply, Request
from pegasus_runtime.native.ort import silence_onnxruntime

BENCHMARKS = Path(__file__).resolve().parents[1]
LOG_TAIL_LINES = 15
EXIT_TIMEOUT_S = 60.0


class WorkerError(RuntimeError):
    """A worker ended, failed at a request, or did not do the work that it was asked for.

    The first line of the message says it all; others quote the log.
    """


class WorkerProcess:
    """A running worker with its engine loaded; close it, or use it in a ``with`` block."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts the worker and waits until its engine is loaded.

        log: a file for all that the worker prints. environment: variables beside those there are.
        Raises: WorkerError if it ends before that.
        """
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        silence_onnxruntime()  # of those workers too that have nothing of ours
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=BENCHMARKS,
                env={**os.environ, **(environment or {})},
                text=True,
            )
        try:
            self.ready = Ready(**self._read())
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def generate(self, request: Request) -> Reply:
        """Raises: WorkerError if the worker fails, or a summary is not of the length asked for."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request.to_line() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as err:
            raise WorkerError(self._ended()) from err
        reply = Reply(**self._read())
        self._check_work(request, reply)
        return reply

    def cpu_s(self) -> float:
        """Processor time that the worker has used so far, all threads added up.

        Raises: WorkerError if it has ended.
        """
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess as err:
            raise WorkerError(self._ended()) from err
        return float(times.user + times.system)

    def close(self) -> None:
        """Ends the worker, which frees its memory."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                # What a worker that has ended did not read, closing tries to send again.
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._process.kill()  # it may be in the middle of a long request
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._ended())
        content: dict[str, Any] = json.loads(line)
        if "error" in content:
            raise WorkerError(f"{self.name}: {content['error']}{self._log_tail()}")
        return content

    def _check_work(self, request: Request, reply: Reply) -> None:
        counts = [len(tokens) for tokens in reply.tokens]
        expected = [request.new_tokens] * len(request.sources)
        if counts != expected:
            raise WorkerError(
                f"{self.name}: generated {sorted(set(counts))} tokens for {len(counts)} documents,"
                f" expected {request.new_tokens} for each of {len(expected)}: the engines would"
                " not do the same work"
            )

    def _ended(self) -> str:
        status = self._process.wait(EXIT_TIMEOUT_S)
        lines = [line for line in self._log_tail().splitlines()[2:] if line.strip()]
        last = lines[-1].strip() if lines else "it said nothing"
        return f"{self.name}: the worker ended with exit status {status}: {last}{self._log_tail()}"

    def _log_tail(self) -> str:
        tail = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(["", f"last lines of {self.log}:", *tail])
