"""HTTP as an attacker speaks it: bytes on a socket, and what comes back."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Response", "head", "open_connection", "post", "read_responses", "reset", "talk"]

HOST = "127.0.0.1"
ANSWER_S = 30.0
_MORE_S = 0.15
_READ_BYTES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/json")

    def json(self) -> object:
        return json.loads(self.body)


def head(method: str, path: str, *headers: str) -> bytes:
    """Of a request, with a host."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def post(body: bytes, *headers: str, path: str = "/v1/summarize") -> bytes:
    """A request with a body of JSON, as it should be."""
    usual = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return head("POST", path, *usual, *headers) + body


def open_connection(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=ANSWER_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def talk(
    port: int, parts: Sequence[bytes], *, pause_s: float = 0.0, most: int = 1
) -> list[Response]:
    """Sends the parts, and reads what is answered. Raises: TimeoutError."""
    with open_connection(port) as connection:
        with contextlib.suppress(ConnectionError):  # it answered before it had read all
            for part in parts:
                connection.sendall(part)
                if pause_s:
                    time.sleep(pause_s)
        return read_responses(connection, most=most)


def read_responses(connection: socket.socket, *, least: int = 1, most: int) -> list[Response]:
    """What comes until the server closes, or until the least is there and no more come for a
    moment. Raises: TimeoutError where less comes."""
    data, found = b"", []
    while len(found) < most:
        response, data = _split(data)
        if response is not None:
            if response.status >= 200:
                found.append(response)
            continue
        connection.settimeout(_MORE_S if len(found) >= least and not data else ANSWER_S)
        try:
            chunk = connection.recv(_READ_BYTES)
        except TimeoutError:
            if len(found) >= least:
                break
            raise
        except ConnectionError:
            break
        if not chunk:
            break
        data += chunk
    return found


def reset(connection: socket.socket) -> None:
    """Closes it in the rudest way: with RST."""
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def _split(data: bytes) -> tuple[Response | None, bytes]:
    """The first whole answer in the data, and the rest."""
    raw, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None, data
    lines = raw.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2:
        raise ValueError(f"this is no answer: {raw[:80]!r}")
    status = int(words[1])
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        body, found = b"", False
        while not found:
            size, end, after = rest.partition(b"\r\n")
            length = int(size, 16) if end else 0
            if not end or len(after) < length + 2:
                return None, data
            body, rest, found = body + after[:length], after[length + 2 :], length == 0
    else:
        length = 0 if status < 200 else int(headers.get("content-length", 0))
        if len(rest) < length and not _has_no_body(headers, status):
            return None, data
        body, rest = rest[:length], rest[length:]
    return Response(status=status, headers=headers, body=body), rest


def _has_no_body(headers: Mapping[str, str], status: int) -> bool:
    return status in (204, 304)
