"""Clients that behave badly with sound requests: they leave, they are slow, they are silent.

Each returns what is wrong with what it was answered, or nothing.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attack.hosted_server import BODY_S, HEAD_S
from attack.http_talk import Response, head, open_connection, post, read_responses, reset, talk

__all__ = ["CLIENTS", "SLOW_CLIENTS", "Sound"]

SILENT = 300
_PATIENCE_S = 4.0  # beyond the server's own limit, on a busy machine
_PIPELINED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Documents, and what each is summarised to by itself."""

    summaries: Mapping[str, str]

    def draw(self, rng: random.Random, **asked: object) -> tuple[bytes, str]:
        """A request that is sound, and the summary that it has to get."""
        text = rng.choice([*self.summaries])
        return post(json.dumps({"inputs": text, **asked}).encode()), self.summaries[text]


def _complain(response: Response, expected: str) -> str:
    if response.status != 200:
        return f"status {response.status}: {response.body[:200]!r}"
    content: Any = response.json()
    got = content["results"][0]["text"]
    return "" if got == expected else f"summary {got[:60]!r}, expected {expected[:60]!r}"


def _complain_all(responses: Sequence[Response], expected: Sequence[str]) -> str:
    if len(responses) != len(expected):
        return f"{len(responses)} answers, expected {len(expected)}"
    found = (_complain(*each) for each in zip(responses, expected, strict=True))
    return next((each for each in found if each), "")


def _usual(port: int, rng: random.Random, sound: Sound) -> str:
    request, expected = sound.draw(rng)
    return _complain_all(talk(port, [request]), [expected])


def _in_pieces(port: int, rng: random.Random, sound: Sound) -> str:
    request, expected = sound.draw(rng)
    cuts = sorted(rng.randrange(len(request)) for _ in range(8))
    parts = [request[a:b] for a, b in zip([0, *cuts], [*cuts, len(request)], strict=True)]
    return _complain_all(talk(port, parts, pause_s=0.002), [expected])


def _again(port: int, rng: random.Random, sound: Sound) -> str:
    """Several on one connection, one after the other."""
    with open_connection(port) as connection:
        for _ in range(4):
            request, expected = sound.draw(rng)
            connection.sendall(request)
            complaint = _complain_all(read_responses(connection, most=1), [expected])
            if complaint:
                return complaint
    return ""


def _pipelined(port: int, rng: random.Random, sound: Sound) -> str:
    drawn = [sound.draw(rng) for _ in range(4)]
    with open_connection(port) as connection:
        connection.sendall(b"".join(request for request, _ in drawn))
        found = read_responses(connection, least=len(drawn), most=len(drawn))
    return _complain_all(found, [expected for _, expected in drawn])


def _expecting(port: int, rng: random.Random, sound: Sound) -> str:
    """Asks first whether the body may come."""
    request, expected = sound.draw(rng)
    start, end, body = request.partition(b"\r\n\r\n")
    with open_connection(port) as connection:
        connection.sendall(start + b"\r\nExpect: 100-continue" + end)
        if not connection.recv(100).startswith(b"HTTP/1.1 100"):
            return "no 100 Continue"
        connection.sendall(body)
        return _complain_all(read_responses(connection, most=1), [expected])


def _streamed(port: int, rng: random.Random, sound: Sound) -> str:
    request, expected = sound.draw(rng, stream=True)
    found = talk(port, [request])
    if len(found) != 1 or found[0].status != 200:
        return f"answers {[each.status for each in found]}"
    events = found[0].body.decode().strip().replace("\r\n", "\n").split("\n\n")
    name, _, data = events[-1].partition("\n")
    if name != "event: result":
        return f"the last event is {events[-1][:200]!r}"
    got = json.loads(data.removeprefix("data: "))["text"]
    return "" if got == expected else f"streamed {got[:60]!r}, expected {expected[:60]!r}"


def _several(port: int, rng: random.Random, sound: Sound) -> str:
    """One of them is over the limit, which is its error alone."""
    text = rng.choice([*sound.summaries])
    inputs = [text, "boat " * 5000, text]
    found = talk(port, [post(json.dumps({"inputs": inputs}).encode())])
    if len(found) != 1 or found[0].status != 200:
        return f"answers {[(each.status, each.body[:200]) for each in found]}"
    content: Any = found[0].json()
    first, failed, last = content["results"]
    texts = {first.get("text"), last.get("text")}
    if texts != {sound.summaries[text]} or set(failed) != {"error"}:
        return f"results {str(content['results'])[:200]}"
    return ""


def _looked_at(port: int, rng: random.Random, sound: Sound) -> str:
    """Methods without a body, at paths that there are."""
    path = rng.choice(("/health", "/ready", "/metrics", "/openapi.json", "/v1/models"))
    method = rng.choice(("HEAD", "OPTIONS", "GET"))
    with open_connection(port) as connection:
        connection.sendall(head(method, path, "Connection: close"))
        data = b""
        while chunk := connection.recv(2**16):
            data += chunk
    start, _, body = data.partition(b"\r\n\r\n")
    status = int(start.split(b" ")[1])
    expected = {"GET": (200,), "HEAD": (200, 405), "OPTIONS": (200, 204, 405)}[method]
    if status not in expected or (method == "HEAD" and body):
        return f"{method} {path}: status {status}, {len(body)} bytes"
    return ""


def _gone(port: int, rng: random.Random, sound: Sound) -> str:
    """Leaves at some moment, in good manners or in bad ones."""
    request, _ = sound.draw(rng, stream=rng.random() < 0.5)
    connection = open_connection(port)
    with contextlib.suppress(OSError):
        connection.sendall(request[: rng.choice((10, request.find(b"\r\n\r\n") + 4, -20, None))])
        wait = rng.choice(("not", "a moment", "for a part"))
        if wait == "a moment":
            time.sleep(rng.random() * 0.05)
        elif wait == "for a part":
            connection.settimeout(0.1)
            connection.recv(20)
    if rng.random() < 0.5:
        reset(connection)
    else:
        connection.close()
    return ""


CLIENTS: Mapping[str, Callable[[int, random.Random, Sound], str]] = {
    "as it should be": _usual,
    "in pieces": _in_pieces,
    "again and again": _again,
    "pipelined": _pipelined,
    "asking first": _expecting,
    "streamed": _streamed,
    "one of several is too long": _several,
    "looked at": _looked_at,
    "gone": _gone,
}


def _silent(port: int, rng: random.Random, sound: Sound) -> str:
    """Hundreds of sockets that say nothing."""
    connections = [open_connection(port) for _ in range(SILENT)]
    try:
        return _until_closed(connections, HEAD_S)
    finally:
        for each in connections:
            each.close()


def _slow_head(port: int, rng: random.Random, sound: Sound) -> str:
    return _byte_by_byte(port, b"", sound.draw(rng)[0], HEAD_S)


def _slow_body(port: int, rng: random.Random, sound: Sound) -> str:
    request, _ = sound.draw(rng)
    at = request.find(b"\r\n\r\n") + 4
    return _byte_by_byte(port, request[:at], request[at:], BODY_S)


def _slow_next(port: int, rng: random.Random, sound: Sound) -> str:
    """A first request that is sound, and a second one that never comes."""
    request, expected = sound.draw(rng)
    with open_connection(port) as connection:
        connection.sendall(request)
        complaint = _complain_all(read_responses(connection, most=1), [expected])
        connection.sendall(b"POST /v1/summ")
        return complaint or _until_closed([connection], HEAD_S)


def _unread(port: int, rng: random.Random, sound: Sound) -> str:
    """Asks for a lot and reads nothing of it; other clients are served all the same."""
    with open_connection(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1.0)
        with contextlib.suppress(OSError):
            connection.sendall(head("GET", "/openapi.json") * _PIPELINED)
        complaint = _usual(port, rng, sound)
        time.sleep(HEAD_S)
        return complaint


def _byte_by_byte(port: int, start: bytes, rest: bytes, limit_s: float) -> str:
    """408, or closed, once the time is over."""
    with open_connection(port) as connection:
        connection.sendall(start)
        connection.settimeout(limit_s / 20)
        begun, seen = time.monotonic(), b""
        for at in range(len(rest)):
            if time.monotonic() > begun + limit_s + _PATIENCE_S:
                return f"it still listens after {limit_s + _PATIENCE_S:g} s"
            try:
                connection.sendall(rest[at : at + 1])
                chunk = connection.recv(2**16)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            seen += chunk
            if not chunk:
                break
        status = seen[:12]
        return "" if status in (b"", b"HTTP/1.1 408") else f"answered {seen[:200]!r}"


def _until_closed(connections: Sequence[socket.socket], limit_s: float) -> str:
    """All closed by the server, with 408 or without a word, once the time is over."""
    end, still_open = time.monotonic() + limit_s + _PATIENCE_S, 0
    for each in connections:
        each.settimeout(max(0.05, end - time.monotonic()))
        seen = b""
        try:
            while chunk := each.recv(2**16):
                seen += chunk
        except TimeoutError:
            still_open += 1
        except ConnectionError:
            continue
        if seen[:12] not in (b"", b"HTTP/1.1 408"):
            return f"answered {seen[:200]!r}"
    return f"{still_open} are open after {limit_s + _PATIENCE_S:g} s" if still_open else ""


SLOW_CLIENTS: Mapping[str, Callable[[int, random.Random, Sound], str]] = {
    f"{SILENT} that say nothing": _silent,
    "a head byte by byte": _slow_head,
    "a body byte by byte": _slow_body,
    "no second request": _slow_next,
    "nothing is read": _unread,
}
