"""A server that answers as pegasus-serve does, by a script: for what the page does about it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pegasus_serve.scripts import __file__ as _scripts

__all__ = ["CSP", "FakeServing", "Reply", "result_of", "serve_fake"]

PAGE = Path(_scripts).parent / "page"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_BETWEEN_PIECES_S = 0.003
_TYPES = {".html": "text/html", ".mjs": "text/javascript", ".css": "text/css"}


def result_of(text: str, **fields: object) -> dict[str, object]:
    """The result object of a summary."""
    return {
        "text": text,
        "score": -0.5,
        "token_ids": list(range(len(text.split()))),
        "truncated": False,
        "unknown_share": 0.0,
        "control_characters": 0,
        "looks_like_html": False,
        "windows": [],
        "alternatives": [],
        "seconds": 0.1,
        **fields,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one request gets: an error or an object as JSON, or a stream's events."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    events: Sequence[tuple[str, Mapping[str, object]]] = ()
    pause_s: float = 0.0
    """Before each event after the first."""

    @classmethod
    def error(cls, status: int, code: str, message: str, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"error": {"code": code, "message": message}}
        return cls(status=status, headers=named, body=body)

    @classmethod
    def summary(cls, text: str, *, pause_s: float = 0.0, **fields: object) -> Reply:
        """A stream that grows word by word."""
        words = text.split(" ")
        parts = [" ".join(words[: n + 1]) for n in range(len(words) - 1)]
        result = result_of(text, **fields)
        events = [*(("partial", {"text": part}) for part in parts), ("result", result)]
        return cls(events=events, pause_s=pause_s)


class FakeServing(ThreadingHTTPServer):
    """On loopback; takes its replies to POST in order, and notes what it was asked."""

    daemon_threads = True

    def __init__(self, models: Sequence[Mapping[str, object]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.token: str | None = None
        self.replies: list[Reply] = []
        self.asked: list[dict[str, Any]] = []
        self.left = threading.Event()
        """Set when a client went away before its stream ended."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: FakeServing

    def do_GET(self) -> None:
        name = {"/": "index.html"}.get(self.path, self.path.removeprefix("/page/"))
        if self.path == "/v1/models":
            if not self._refused():
                self._send_json(Reply(body={"models": self.server.models}))
        elif (PAGE / name).is_file() and "/" not in name:
            headers = {"Content-Type": _TYPES[Path(name).suffix], "Content-Security-Policy": CSP}
            self._send(200, headers, (PAGE / name).read_bytes())
        else:
            self._send_json(Reply.error(404, "not_found", f"there is no {self.path}"))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        self.server.asked.append({"path": self.path, **asked})
        reply = self.server.replies.pop(0)
        if reply.body is not None:
            self._send_json(reply)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number, (event, data) in enumerate(reply.events):
            if number and self.server.left.wait(reply.pause_s):
                return
            told = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
            try:
                # In pieces, as networks cut them: within a line, and within a character.
                for piece in (told[:17], told[17:-9], told[-9:-1], told[-1:]):
                    self.wfile.write(piece)
                    time.sleep(_BETWEEN_PIECES_S)
            except OSError:
                self.server.left.set()
                return

    def _refused(self) -> bool:
        wanted = self.server.token
        if wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}":
            return False
        self._send_json(Reply.error(401, "unauthorized", "this server asks for a token"))
        return True

    def _send_json(self, reply: Reply) -> None:
        headers = {"Content-Type": "application/json", **reply.headers}
        self._send(reply.status, headers, json.dumps(reply.body).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_fake(models: Sequence[Mapping[str, object]]) -> Iterator[FakeServing]:
    with FakeServing(models) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
