"""What the attack on servers calls wrong: a verdict that cannot be bad says nothing."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from attack import servers
from attack.hosted_server import Usage
from attack.hostile_clients import Sound
from attack.hostile_requests import CANARY, KINDS, Hostile
from attack.http_talk import Response, read_responses, talk

ERROR = b'{"error": {"code": "json", "message": "the body is not JSON"}}'
JSON = {"content-type": "application/json"}
HOSTILE = Hostile(data=b"POST", statuses=frozenset({400}))


def response(
    status: int = 400, body: bytes = ERROR, headers: dict[str, str] | None = None
) -> Response:
    return Response(status=status, headers=JSON if headers is None else headers, body=body)


def test_a_clear_error_is_right() -> None:
    assert servers.complain(HOSTILE, [response()]) == ""


@pytest.mark.parametrize(
    ("responses", "complaint"),
    [
        ([], "no answer to"),
        ([response(), response()], "2 answers to"),
        ([response(200)], "status 200"),
        ([response(500)], "status 500"),
        ([response(body=b"Traceback (most recent call last)")], "a trace"),
        ([response(body=b'{"error": {"code": "a", "message": "/x/app.py:3"}}')], "a trace"),
        ([response(body=b'{"detail": "no"}')], "no error in JSON"),
        ([response(body=b"no")], "no error in JSON"),
        ([response(headers={"content-type": "text/plain"})], "no error in JSON"),
        ([response(body=ERROR.replace(b"body", CANARY.encode()))], "text of the document"),
    ],
)
def test_anything_else_is_wrong(responses: list[Response], complaint: str) -> None:
    assert complaint in servers.complain(HOSTILE, responses)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (f'{{"event": "request", "text": "{CANARY}"}}', "text of a document"),
        ('{"event": "error", "type": "KeyError"}', "the log has an error"),
        ("Traceback (most recent call last):", "a line of no event"),
    ],
)
def test_a_log_with_text_errors_or_traces_is_wrong(line: str, complaint: str) -> None:
    assert complaint in servers.complain_of_log(f'{{"event": "request"}}\n{line}\n')[0]
    assert servers.complain_of_log('{"event": "request"}\n{"event": "warning"}\n') == []


@pytest.mark.parametrize(
    "now",
    [
        Usage(files=15, threads=6, resident_bytes=2**27),
        Usage(files=10, threads=11, resident_bytes=2**27),
        Usage(files=10, threads=6, resident_bytes=2**28),
    ],
)
def test_more_files_threads_or_memory_are_leftovers(now: Usage) -> None:
    warm = Usage(files=10, threads=6, resident_bytes=2**27)
    assert servers.more_than(warm, warm) == []
    assert servers.more_than(warm, now) == [f"{now}, when it was warm {warm}"]


def test_every_kind_of_request_can_be_drawn() -> None:
    for seed in range(3):
        for make in KINDS.values():
            assert make(random.Random(seed)).data


@contextmanager
def listening(data: bytes) -> Iterator[int]:
    """A server that says this to whoever comes, and then waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept() -> None:
            connection, _ = server.accept()
            held.append(connection)
            connection.sendall(data)

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
        held[0].close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
WHOLE = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy"


def test_answers_are_read_however_they_come() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + WHOLE
    with listening(data) as port:
        found = talk(port, [b"GET"], most=3)
    assert [(each.status, each.body) for each in found] == [(200, b"abc"), (503, b"busy")]
    assert found[1].headers["retry-after"] == "1"


def test_half_an_answer_is_none() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.sendall(WHOLE[:-1])
        theirs.shutdown(socket.SHUT_WR)
        assert read_responses(mine, most=1) == []


def test_a_sound_request_draws_a_document_and_its_summary() -> None:
    request, expected = Sound(summaries={"a": "b"}).draw(random.Random(1), stream=True)
    assert expected == "b"
    assert request.endswith(b'{"inputs": "a", "stream": true}')
