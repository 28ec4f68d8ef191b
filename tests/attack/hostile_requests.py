"""Requests that no client of good will sends, and what each has to be answered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attack.hosted_server import MAX_BODY_BYTES
from attack.http_talk import head, post

__all__ = ["CANARY", "KINDS", "Hostile"]

CANARY = "Zqxcanary"
"""A word of every document; it must not be seen in a log."""
_JSON = "Content-Type: application/json"
_PATHS = (
    "/v1",
    "/v1/",
    "/v1/summarize/",
    "/v2/summarize",
    "/docs",
    "/redoc",
    "/admin",
    "/%00",
    "/\u00e9",
    "//v1/summarize",
    "/v1/summarize/../../etc/passwd",
    "/page/../../../../etc/passwd",
    "/page/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/page/..%2f..%2f..%2fetc%2fpasswd",
    "/page/..%5c..%5cetc%5cpasswd",
    "/page//etc/passwd",
    "/page/%2fetc%2fpasswd",
    "/page/__init__.py",
    "/page/../app.py",
    "/page/" + "a/" * 2000,
    "/page/" + "%2e" * 300,
    "/page/index.html%00.css",
)
_FIELDS: Mapping[str, Sequence[object]] = {
    "inputs": (None, 3, True, {}, [], [None], [3], [["a"]], {"text": "a"}, ""),
    "model": (3, True, {}, [], ["tiny"]),
    "parameters": (3, "a", [], True, None),
    "long": (3, True, "perhaps", [], {}),
    "stream": ("yes", 1, 0, [], {}),
    "timeout_s": ("3", True, [], -1, 0, 1e308, -0.0),
    "priority": ("3", 1.5, True, [], 99, -99, 10**30),
    "nothing": (1, None, "a"),
    "": (1,),
}
_PARAMETERS: Mapping[str, Sequence[object]] = {
    "num_beams": ("4", 1.5, True, [], {}, 0, -1, 1000, 2**63, 10**400),
    "max_new_tokens": ("4", 0, -1, 1.5, 2**70, [1]),
    "min_length": ("4", -1, 1.5, [1]),
    "length_penalty": ("1", [], True, {}),
    "no_repeat_ngram_size": ("3", -3, 2.5),
    "temperature": ("hot", -1.0, 0.0, []),
    "top_p": (2.0, -0.5, "1"),
    "bad_words_ids": (3, [3], [["a"]], [[]], [[-1]]),
    "sequence_bias": (3, [[1]], [[[1], "a"]], {"a": 1}),
    "do_sample": ("yes", 1),
    "seed": ("a", 1.5, []),
    "num_return_sequences": (0, -1, 900, "2"),
    "forced_bos_token_id": ("a", -5, 10**9),
    "eos_token_id": ("a", [-1], 10**9),
    "decoder_input_ids": (3, [-1], ["a"], [10**9]),
    "num_beans": (4,),
    "__class__": (1,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One of them: the bytes, and the statuses that are right. An empty set: it may only close."""

    data: bytes
    statuses: frozenset[int]
    is_ours: bool = True
    """Whether the error is the server's own, in JSON, and not of the library that reads HTTP."""
    may_close: bool = False
    """Whether closing without a word is an answer, too."""
    may_be_two: bool = False
    """Whether the bytes are two requests to some readers: both answers are looked for."""


def _of(data: bytes, *statuses: int, ours: bool = True, close: bool = False) -> Hostile:
    return Hostile(data=data, statuses=frozenset(statuses), is_ours=ours, may_close=close)


def _split(data: bytes, *statuses: int) -> Hostile:
    """Of what is no HTTP, or HTTP in two readings: the library that reads it may answer."""
    return Hostile(
        data=data,
        statuses=frozenset(statuses),
        is_ours=False,
        may_close=True,
        may_be_two=True,
    )


def _document(rng: random.Random) -> str:
    return f"{CANARY} the boat was sold {rng.randrange(10**6)}."


def _broken_json(rng: random.Random) -> Hostile:
    text = json.dumps({"inputs": _document(rng), "parameters": {"num_beams": 2}}).encode()
    at = rng.randrange(len(text) - 1)
    damage = rng.choice(("cut", "twice", "comma", "quote", "junk"))
    body = {
        "cut": text[:at],
        "twice": text + text,
        "comma": text[:-1] + b",}",
        "quote": text.replace(b'"', b"'"),
        "junk": bytes(rng.randrange(256) for _ in range(60)) + b"{",
    }[damage]
    return _of(post(body), 400)


def _not_utf8(rng: random.Random) -> Hostile:
    bad = rng.choice((b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80"))
    return _of(post(b'{"inputs": "' + CANARY.encode() + bad + b' a"}'), 400)


def _surrogate(rng: random.Random) -> Hostile:
    where = rng.choice(('{"inputs": "a %s"}', '{"inputs": "a", "model": "%s"}', '{"%s": 1}'))
    return _of(post((where % "boat \\ud800").encode()), 400, 404, 422)


def _odd_number(rng: random.Random) -> Hostile:
    value = rng.choice(("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1.", "01", "+1"))
    name = rng.choice(("timeout_s", "priority", "length_penalty", "num_beams"))
    asked = f'"{name}": {value}'
    if name in _PARAMETERS:
        asked = f'"parameters": {{{asked}}}'
    body = f'{{"inputs": "{CANARY} boat.", {asked}}}'
    return _of(post(body.encode()), 400, 422)


def _deep(rng: random.Random) -> Hostile:
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    body = opening * 100_000 + ("1" + closing * 100_000 if rng.random() < 0.5 else "")
    if rng.random() < 0.5:
        body = f'{{"inputs": {body}}}'
    return _of(post(body.encode()), 400, 413, 422)


def _twice(rng: random.Random) -> Hostile:
    body = f'{{"inputs": "a", "inputs": "{CANARY} boat.", "long": "error", "long": "truncate"}}'
    return _of(post(body.encode()), 422)


def _wrong_field(rng: random.Random) -> Hostile:
    name = rng.choice([*_FIELDS])
    asked = {"inputs": _document(rng), name: rng.choice(_FIELDS[name])}
    return _of(post(json.dumps(asked).encode()), 422)


def _wrong_parameter(rng: random.Random) -> Hostile:
    name = rng.choice([*_PARAMETERS])
    asked = {"inputs": _document(rng), "parameters": {name: rng.choice(_PARAMETERS[name])}}
    if name == "temperature" or name == "top_p":
        asked["parameters"] |= {"do_sample": True, "num_beams": 1}  # type: ignore[operator]
    return _of(post(json.dumps(asked).encode()), 400, 422)


def _no_object(rng: random.Random) -> Hostile:
    body = rng.choice((b"", b" ", b"null", b"[]", b"3", b'"a"', b"true", b"{}", b"[{}]"))
    return _of(post(body), 400, 422)


def _other_type(rng: random.Random) -> Hostile:
    kind = rng.choice(("text/plain", "application/xml", "multipart/form-data", "a", "\u00e9/b;;"))
    body = json.dumps({"inputs": _document(rng)}).encode()
    headers = (f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    return _of(head("POST", "/v1/summarize", *headers) + body, 415, 422)


def _too_long(rng: random.Random) -> Hostile:
    text = f"{CANARY} boat " * 2000
    return _of(post(json.dumps({"inputs": text}).encode()), 422)


def _no_time(rng: random.Random) -> Hostile:
    asked = {"inputs": _document(rng), "timeout_s": rng.choice((1e-9, 1e-5, 5e-324))}
    return _of(post(json.dumps(asked).encode()), 504)


def _other_model(rng: random.Random) -> Hostile:
    name = rng.choice(("", "other", "../tiny", "tiny\n", "a" * 5000, "\u202e", "__class__"))
    return _of(post(json.dumps({"inputs": _document(rng), "model": name}).encode()), 404, 422)


def _other_task(rng: random.Random) -> Hostile:
    path = rng.choice(("/v1/classify", "/v1/answer"))
    asked = {"inputs": "a"} if path == "/v1/classify" else {"question": "Who?", "context": "a b"}
    return _of(post(json.dumps(asked).encode(), path=path), 404, 422)


def _large(rng: random.Random) -> Hostile:
    size = rng.choice((MAX_BODY_BYTES + 1, 10_000_000))
    body = b'{"inputs": "' + b"a" * size + b'"}'
    if rng.random() < 0.5:
        return _of(post(body), 413, close=True)
    return _of(_chunked(body, 65536), 413, close=True)


def _chunked(body: bytes, size: int) -> bytes:
    parts = [head("POST", "/v1/summarize", _JSON, "Transfer-Encoding: chunked")]
    for at in range(0, len(body), size):
        chunk = body[at : at + size]
        parts.append(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    return b"".join([*parts, b"0\r\n\r\n"])


def _false_length(rng: random.Random) -> Hostile:
    """A large number, and hardly a body: the answer must not wait for the rest."""
    length = rng.choice((10**8, 2**63, 10**30))
    headers = (_JSON, f"Content-Length: {length}", "Expect: 100-continue")
    return _of(head("POST", "/v1/summarize", *headers), 413, 400, ours=False, close=True)


def _other_method(rng: random.Random) -> Hostile:
    method = rng.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"))
    return _of(head(method, "/v1/summarize", "Content-Length: 0"), 405)


def _post_elsewhere(rng: random.Random) -> Hostile:
    path = rng.choice(("/health", "/ready", "/metrics", "/openapi.json", "/v1/models", "/"))
    return _of(post(b"{}", path=path), 405)


def _path(rng: random.Random) -> Hostile:
    path = rng.choice(_PATHS)
    ours = path.isascii()
    return _of(head("GET", path), 404, 400, 405, ours=ours)


def _great_head(rng: random.Random) -> Hostile:
    headers = rng.choice(
        (
            ["X-A: " + "a" * 1_000_000],
            ["X-A: b"] * 50_000,
            ["X-" + "a" * 1_000_000 + ": b"],
            ["Cookie: " + "a=b; " * 100_000],
        )
    )
    return _of(head("GET", "/health", *headers), 400, 431, ours=False, close=True)


def _great_path(rng: random.Random) -> Hostile:
    path = "/" + "a" * rng.choice((10_000, 1_000_000))
    return _of(head("GET", path), 400, 404, 414, 431, ours=False, close=True)


def _smuggled(rng: random.Random) -> Hostile:
    """Two readings of where the request ends; never two answers."""
    inner = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    chunked = b"0\r\n\r\n" + inner
    length = f"Content-Length: {len(chunked)}"
    headers, body = rng.choice(
        (
            ((length, "Transfer-Encoding: chunked"), chunked),
            (("Content-Length: 2", length), b"{}" + inner),
            (("Content-Length: 2, 50",), b"{}" + inner),
            (("Transfer-Encoding: xchunked",), chunked),
            (("Transfer-Encoding: chunked, identity",), chunked),
            (("Transfer-Encoding : chunked", length), chunked),
            (("Transfer-Encoding: chunked", "Transfer-Encoding: x"), chunked),
            (("Content-Length: +2",), b"{}" + inner),
            (("Content-Length: 0x2",), b"{}" + inner),
            (("Content-Length: -2",), b"{}" + inner),
            (("Content-Length : 2",), b"{}" + inner),
            (("Content-Length: 2\n ", length), b"{}" + inner),
            (("X: a\rTransfer-Encoding: chunked", length), chunked),
            (("X: a\0b", "Content-Length: 2"), b"{}"),
            ((" X: a", "Content-Length: 2"), b"{}"),
            ((": a", "Content-Length: 2"), b"{}"),
        )
    )
    request = head("POST", "/v1/summarize", _JSON, *headers) + body
    return _split(request, 400, 411, 413, 415, 422, 501)


def _bad_chunk(rng: random.Random) -> Hostile:
    size = rng.choice((b"-1", b"FFFFFFFFFFFFFFFFF", b"zz", b"0x5", b"5;" + b"a" * 100_000, b""))
    request = head("POST", "/v1/summarize", _JSON, "Transfer-Encoding: chunked")
    data = request + size + b"\r\nhello\r\n0\r\n\r\n"
    return _split(data, 400, 408, 413, 422)


def _no_http(rng: random.Random) -> Hostile:
    data = rng.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\n",
            b"GET /health\r\n\r\n",
            b"GET  /health  HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /health HTTP/1.1\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"\0" * 1000 + b"\r\n\r\n",
            bytes(rng.randrange(256) for _ in range(200)) + b"\r\n\r\n",
        )
    )
    return _split(data, 400, 404, 405, 505)


def _upgrade(rng: random.Random) -> Hostile:
    kind = rng.choice(("websocket", "h2c"))
    headers = (f"Upgrade: {kind}", "Connection: Upgrade", "Sec-WebSocket-Key: eA==")
    return _of(head("GET", "/v1/summarize", *headers), 400, 404, 405, 426, ours=False)


KINDS: Mapping[str, Callable[[random.Random], Hostile]] = {
    "broken JSON": _broken_json,
    "no UTF-8": _not_utf8,
    "half of a pair": _surrogate,
    "an odd number": _odd_number,
    "100,000 brackets": _deep,
    "keys twice": _twice,
    "a field of another type": _wrong_field,
    "a parameter of another type": _wrong_parameter,
    "no object": _no_object,
    "another content type": _other_type,
    "too long": _too_long,
    "no time": _no_time,
    "another model": _other_model,
    "another task": _other_task,
    "a large body": _large,
    "a false length": _false_length,
    "another method": _other_method,
    "a body elsewhere": _post_elsewhere,
    "another path": _path,
    "a great head": _great_head,
    "a great path": _great_path,
    "smuggled": _smuggled,
    "a bad chunk": _bad_chunk,
    "no HTTP": _no_http,
    "an upgrade": _upgrade,
}
