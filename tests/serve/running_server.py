"""pegasus-serve as people start it: a process of its own, on a free port of loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["RunningServer", "run_server"]

_START_S = 60.0


@dataclass(slots=True, kw_only=True)
class RunningServer:
    """Where it listens, and the lines of its log so far."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[str] = field(default_factory=list)

    def get(self, path: str) -> str:
        """The text of a 200. Raises: urllib.error.HTTPError."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return str(response.read().decode())

    def metric(self, name: str) -> float:
        """The value of a metric, summed over its labels."""
        lines = [line for line in self.get("metrics").splitlines() if line.startswith(name)]
        values = [line.rsplit(" ", 1) for line in lines]
        return sum(float(value) for key, value in values if key.partition("{")[0] == name)


@contextmanager
def run_server(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[RunningServer]:
    """Started with these arguments, ready when the body begins, and told to end after it."""
    command = [sys.executable, "-m", "pegasus_serve.process.command", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    server = RunningServer(process=process)
    reading = threading.Thread(target=_read_log, args=(server,))
    reading.start()
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reading.join()


def _read_log(server: RunningServer) -> None:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        server.log.append(line)
        if '"event": "listening"' in line:
            server.url = json.loads(line)["address"] + "/"


def _wait_until_ready(server: RunningServer) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert server.process.poll() is None, "".join(server.log)
        try:
            if server.url and server.get("ready"):
                return
        except urllib.error.HTTPError:
            pass  # it loads
        time.sleep(0.02)
    raise AssertionError(f"not ready in {_START_S:g} s: {''.join(server.log)}")
