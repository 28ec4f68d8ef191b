"""Connections over real sockets: silent ones, slow ones, too many, and what is no HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_serve.app import make_app
from pegasus_serve.process.connections import bounded_protocol
from pegasus_serve.process.server import make_config, open_socket
from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from pegasus_serve.telemetry.logs import Log
from serve.fake_batcher import FakeBatcher

TEXT = tiny_sentences()[0]
SETTINGS = Settings(
    max_connections=4, header_timeout_s=0.3, body_timeout_s=0.3, max_body_bytes=100_000
)
GET = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"


class Running:
    """A server in a thread, and its address."""

    def __init__(self, model: Model) -> None:
        self.lines: list[str] = []
        log = Log(self.lines.append)
        app = make_app({model.name: model}, SETTINGS, log=log)
        self.server = uvicorn.Server(make_config(app, SETTINGS))
        self.listening = open_socket("127.0.0.1", 0)
        self.thread = threading.Thread(target=self.run)
        self.handler = log.handler()

    def run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.listening]))

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.listening.getsockname(), timeout=5)
        connection.settimeout(5)
        return connection

    def ask(self, request: bytes) -> bytes:
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes it."""
    got = b""
    while chunk := connection.recv(65536):
        got += chunk
    return got


@pytest.fixture
def running(tiny: Model) -> Iterator[Running]:
    site = Running(tiny)
    logging.getLogger("uvicorn").addHandler(site.handler)
    site.thread.start()
    try:
        yield site
    finally:
        logging.getLogger("uvicorn").removeHandler(site.handler)
        site.server.should_exit = True
        site.thread.join(10)
        assert not site.thread.is_alive()


def post(body: bytes, headers: bytes = b"") -> bytes:
    head = b"POST /v1/summarize HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    return head + headers + b"content-length: %d\r\n\r\n" % len(body) + body


def test_a_connection_that_says_nothing_or_half_a_head_is_closed(running: Running) -> None:
    with running.connect() as silent, running.connect() as half, running.connect() as idle:
        half.sendall(b"GET /health HTTP/1.1\r\nx-a: ")
        idle.sendall(GET)
        start = time.monotonic()
        for connection in (silent, half):
            answer = read_all(connection)
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "slow_head"
        assert 0.2 < time.monotonic() - start < 3
        assert read_all(idle).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_head_that_comes_a_byte_at_a_time_has_no_more_time(running: Running) -> None:
    with running.connect() as connection:
        start = time.monotonic()
        with suppress(OSError):  # reset, or a broken pipe
            while time.monotonic() - start < 5:
                connection.sendall(b"a")
                time.sleep(0.03)
        assert time.monotonic() - start < 2


def test_a_request_that_takes_long_is_not_cut_off(running: Running, batcher: FakeBatcher) -> None:
    batcher.holds = True
    with running.connect() as connection:
        body = json.dumps({"inputs": TEXT, "parameters": {"max_new_tokens": 4}}).encode()
        connection.sendall(post(body, b"connection: close\r\n"))
        batcher.wait_for_documents(1)
        time.sleep(0.6)  # twice the time of a head
        batcher.finish(batcher.held[0])
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_hangs_up_withdraws_its_document(
    running: Running, batcher: FakeBatcher
) -> None:
    batcher.holds = True
    with running.connect() as connection:
        connection.sendall(post(json.dumps({"inputs": TEXT}).encode()))
        batcher.wait_for_documents(1)
    until = time.monotonic() + 5
    while not batcher.held[0].future.cancelled():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_more_connections_than_allowed_are_refused_at_once(running: Running) -> None:
    connections = [running.connect() for _ in range(4)]
    try:
        for connection in connections:
            connection.sendall(GET)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        refused = read_all(running.connect())
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"retry-after: 1\r\n" in refused
    finally:
        for connection in connections:
            connection.close()
    until = time.monotonic() + 5
    while not running.ask(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")).startswith(
        b"HTTP/1.1 200"
    ):
        assert time.monotonic() < until


def test_a_body_that_is_too_large_is_refused_in_words_that_arrive(running: Running) -> None:
    answer = running.ask(post(b"x" * 10_000_000, b"connection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"body_size"' in answer
    chunked = b"POST /v1/summarize HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n"
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = running.ask(chunked + b"connection: close\r\n\r\n" + chunk * 20 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_is_a_408(running: Running) -> None:
    head = b"POST /v1/summarize HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\nabc"
    answer = running.ask(head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"slow_body"' in answer


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 50_000],
)
def test_what_is_no_request_is_a_400(running: Running, request_: bytes) -> None:
    answer = running.ask(request_ + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"server:" not in answer.lower()
    assert [json.loads(line)["event"] for line in running.lines][-1] == "warning"


def test_two_requests_on_one_connection_are_answered_in_order(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(GET + GET.replace(b"/health", b"/nothing"))
        got = b""
        while got.count(b"HTTP/1.1 ") < 2:
            got += connection.recv(4096)
        assert got.index(b"200 OK") < got.index(b"404 Not Found")


def test_the_protocol_is_made_for_each_servers_settings() -> None:
    assert bounded_protocol(SETTINGS) is not bounded_protocol(SETTINGS)


def test_a_request_that_ends_in_two_places_is_refused_and_nothing_after_it_is_read(
    running: Running,
) -> None:
    lengths = b"content-length: 5\r\ntransfer-encoding: chunked\r\n"
    asked = b"POST /v1/summarize HTTP/1.1\r\nhost: a\r\n" + lengths + b"\r\n0\r\n\r\n"
    answered = running.ask(asked + GET)
    assert answered.startswith(b"HTTP/1.1 400")
    assert b"content-length and transfer-encoding: send one of them" in answered
    assert b"connection: close" in answered
    assert answered.count(b"HTTP/1.1") == 1


def test_a_path_with_a_slash_at_its_end_is_another_one(running: Running) -> None:
    asked = b"GET /health/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    answered = running.ask(asked)
    assert answered.startswith(b"HTTP/1.1 404")
    assert b"evil.example" not in answered
