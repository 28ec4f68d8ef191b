"""An engine on the GPU in a process of its own, asked over a pipe (see workers/token_protocol.py).

A worker that fails says why in one line, which is what the benchmark lists for an engine that could
not be measured; its log says more.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gpu.workers.token_protocol import TokensReply
from worker_process import BENCHMARKS, WorkerError
from workers.line_protocol import GenerationRequest, Ready

__all__ = ["EngineProcess"]

EXIT_TIMEOUT_S = 60.0


class EngineProcess:
    """A running worker with its engine loaded; close it, or use it in a ``with`` block."""

    def __init__(self, name: str, command: Sequence[str | Path], *, log: Path) -> None:
        """Starts the worker and waits until its engine is loaded. Raises: WorkerError."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=BENCHMARKS,
                text=True,
            )
        try:
            self.ready = Ready(**self._read())
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def generate(self, request: GenerationRequest) -> TokensReply:
        """Raises: WorkerError if the worker fails, or a summary is not of the length asked for."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request.to_line() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as err:
            raise WorkerError(self._ended()) from err
        reply = TokensReply(**self._read())
        counts = [len(tokens) for tokens in reply.tokens]
        if counts != [request.new_tokens] * len(request.sources):
            raise WorkerError(
                f"{self.name}: generated {sorted(set(counts))} tokens for {len(counts)} documents, "
                f"expected {request.new_tokens} for each of {len(request.sources)}: it would not "
                "do the same work"
            )
        return reply

    def close(self) -> None:
        """Ends the worker, which frees the GPU's memory."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            raise WorkerError(f"{self.name}: {content['error']}")
        return content

    def _ended(self) -> str:
        status = self._process.wait(EXIT_TIMEOUT_S)
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        last = lines[-1].strip() if lines else "it said nothing"
        return f"{self.name}: the worker ended with exit status {status}: {last} (see {self.log})"
