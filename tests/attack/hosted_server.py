"""The server that is attacked: a process of its own, with short times, on 127.0.0.1.

python -m attack.hosted_server BUNDLE PORT      what the process runs
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

__all__ = ["HEAD_S", "HostedServer", "Usage"]

HOST = "127.0.0.1"
HEAD_S = BODY_S = WRITE_S = 2.0
MAX_BODY_BYTES = 2**20
MAX_QUEUE = 64
_START_S = 60.0
_IDLE_S = 20.0
_LEFT = ("pegasus_queue_documents", "pegasus_queue_tokens", "pegasus_running_documents")
_ENDS = ("finished", "failed", "cancelled", "expired")
_METRIC = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of the server's process."""

    files: int
    threads: int
    resident_bytes: int

    def __str__(self) -> str:
        mib = self.resident_bytes >> 20
        return f"{mib} MiB, {self.files} files, {self.threads} threads"


class HostedServer:
    """One that is ready."""

    def __init__(self, bundle: Path, log: Path) -> None:
        with socket.socket() as found:
            found.bind((HOST, 0))
            self.port = int(found.getsockname()[1])
        self._log = log
        self._read_to = 0
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "attack.hosted_server", str(bundle), str(self.port)],
                stdin=subprocess.PIPE,  # which ends with this process, and the server with it
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(x for x in sys.path if x)},
            )
        end = time.monotonic() + _START_S
        while self.get("/ready")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server does not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 where nobody answers."""
        connection = HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def new_log(self) -> str:
        """What it has logged since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._read_to)
            text = file.read()
        self._read_to += len(text)
        return text.decode("utf-8", "replace")

    def usage(self) -> Usage:
        """Now."""
        process = Path("/proc") / str(self.process.pid)
        status = (process / "status").read_text("ascii", "replace")
        threads = re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)
        pages = int((process / "statm").read_text("ascii").split()[1])
        return Usage(
            files=len(os.listdir(process / "fd")),
            threads=int(threads[1]) if threads else 0,
            resident_bytes=pages * resource.getpagesize(),
        )

    def counters(self) -> dict[str, float]:
        """Of /metrics, added up over labels."""
        found: dict[str, float] = {}
        for name, value in _METRIC.findall(self.get("/metrics")[1].decode()):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def wait_until_idle(self) -> list[str]:
        """What does not add up once nothing is asked any more."""
        end = time.monotonic() + _IDLE_S
        while True:
            counters = self.counters()
            faults = _unsettled(counters)
            if not faults or time.monotonic() > end:
                return faults
            time.sleep(0.05)

    def close(self) -> str:
        """Ends it by SIGTERM; what is wrong with how it ended."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(45)
        is_slow = self.process.poll() is None
        self.process.stdin.close()
        self.process.wait()
        if is_slow:
            return "it does not end on SIGTERM"
        return f"it ended with {self.process.returncode}" if self.process.returncode else ""


def _unsettled(counters: dict[str, float]) -> list[str]:
    if not counters:
        return ["/metrics is not answered"]
    # /metrics itself is a request in flight.
    found = [f"{name} is {counters[name]:g}" for name in _LEFT if counters[name]]
    if counters["pegasus_http_requests_in_flight"] > 1:
        found.append(f"{counters['pegasus_http_requests_in_flight']:g} requests in flight")
    taken = counters["pegasus_documents_submitted_total"]
    done = sum(counters[f"pegasus_documents_{each}_total"] for each in _ENDS)
    return [*found, f"{taken:g} documents submitted, {done:g} ended"] if taken != done else found


def _serve(bundle: str, port: int) -> None:
    from pegasus_serve.app import make_app
    from pegasus_serve.process.server import open_socket, run_server
    from pegasus_serve.served.models import LoadOptions, Model, load_served
    from pegasus_serve.settings import Settings

    settings = Settings(
        max_body_bytes=MAX_BODY_BYTES,
        max_queue=MAX_QUEUE,
        header_timeout_s=HEAD_S,
        body_timeout_s=BODY_S,
        write_timeout_s=WRITE_S,
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load = partial(load_served, bundle, LoadOptions(provider="cpu", threads=1), settings)
    app = make_app({"tiny": Model("tiny", load)}, settings)
    run_server(app, open_socket(HOST, port))


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
