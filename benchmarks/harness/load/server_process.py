"""A server on 127.0.0.1 in a process of its own: started, waited for, watched, ended."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from harness.load.http_client import HOST
from harness.worker_process import BENCHMARKS, EXIT_TIMEOUT_S, WorkerError

START_S = 120.0
_LOOK_S = 0.05


def free_port() -> int:
    """One that nothing listens on now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


class ServerProcess:
    """A server that is ready; close it, or use it in a ``with`` block."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        port: int,
        ready: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """ready: a path that is answered with 200 once requests are taken.

        Raises: WorkerError if it ends before, or takes longer than ``START_S``.
        """
        self.name, self.port, self.log = name, port, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=BENCHMARKS,
                env=environment,
                start_new_session=True,
            )
        self._watched = psutil.Process(self._process.pid)
        try:
            self._wait(ready)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body. Raises: OSError, http.client.HTTPException."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """Processor time of it and its children so far."""
        total = 0.0
        for each in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
        return total

    def resident_bytes(self) -> int:
        """Memory of it and its children; pages that they share are counted for each."""
        total = 0
        for each in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
        return total

    def close(self) -> None:
        """Asks it to end, and ends it and its children where it does not."""
        children = self._processes()[1:]
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(EXIT_TIMEOUT_S / 4)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for each in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self._watched, *self._watched.children(recursive=True)]
        return [self._watched]

    def _wait(self, ready: str) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
                status = self._process.returncode
                raise WorkerError(f"{self.name} ended with exit status {status}: {''.join(last)}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get(ready)[0] == 200:
                    return
            time.sleep(_LOOK_S)
        raise WorkerError(f"{self.name} is not ready after {START_S:g} s: see {self.log}")
