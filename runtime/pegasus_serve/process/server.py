"""The server: uvicorn, its end in good order, and its signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from pegasus_runtime.command_line.signals import UnwindOnSignals, state
from pegasus_serve.app import serving_of
from pegasus_serve.process.connections import bounded_protocol
from pegasus_serve.serving import Serving
from pegasus_serve.settings import Settings

__all__ = ["Server", "make_config", "open_socket", "run_server"]

_TICK_S = 0.05
_LAST_ANSWERS_S = 2.0
"""For answers that say 503 to what was cut off, after the time of grace."""
_KEEP_ALIVE_S = 5
_LARGEST_HEAD = 32 * 2**10
_BACKLOG = 512


class Server(uvicorn.Server):
    """Takes signals in its own way: the first begins the end, the second is the end."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[int, FrameType | None], None]):
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_signal(sig, frame)


class _End:
    """Asked for by a signal, or by a model that cannot be loaded."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._before = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
        }
        self.is_asked = False

    def ask(self) -> None:
        self.is_asked = self._serving.is_stopping = True

    @contextmanager
    def asked_by_signals(self) -> Iterator[None]:
        """Before uvicorn takes them, and after it has given them back, too."""
        try:
            for number in self._before:
                signal.signal(number, self.on_signal)
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(signal.Signals(number))
        if self.is_asked and callable(before):
            state.ends_at_once = True  # what the command's own handler looks at
            before(number, frame)
        self.ask()


def open_socket(host: str, port: int) -> socket.socket:
    """Listens on an address. Raises: OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def run_server(
    app: FastAPI, listening: socket.socket, *, on_start: Callable[[], None] | None = None
) -> None:
    """Serves until a signal, or until a model cannot be loaded, whose error it raises.

    on_start: called when a signal ends it in good order, and not before.
    """
    serving = serving_of(app)
    with UnwindOnSignals(), listening:
        end = _End(serving)
        with end.asked_by_signals():
            if on_start is not None:
                on_start()
            asyncio.run(_serve(app, serving, listening, end))
    if serving.failure is not None:
        raise serving.failure


async def _serve(app: FastAPI, serving: Serving, listening: socket.socket, end: _End) -> None:
    handler = serving.log.handler()
    logger = logging.getLogger("uvicorn")
    logger.addHandler(handler)
    server = Server(make_config(app, serving.settings), end.on_signal)
    serves = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        while not serves.done() and not end.is_asked and serving.failure is None:
            await asyncio.wait({serves}, timeout=_TICK_S)
        end.ask()
        await _drain(serving, serves)
        server.should_exit = True
        await serves
        serving.log.event("ended", {"in_flight": serving.in_flight})
    finally:
        logger.removeHandler(handler)


async def _drain(serving: Serving, serves: asyncio.Future[None]) -> None:
    """While what runs is finished, whoever comes is told that the server ends."""
    serving.log.event("shutting_down", {"in_flight": serving.in_flight})
    until = time.monotonic() + serving.settings.grace_s
    while serving.in_flight and time.monotonic() < until and not serves.done():
        await asyncio.sleep(_TICK_S)
    if not serving.in_flight:
        return
    serving.log.event("cut_off", {"in_flight": serving.in_flight})
    await asyncio.to_thread(serving.cancel_rest)
    until = time.monotonic() + _LAST_ANSWERS_S
    while serving.in_flight and time.monotonic() < until:
        await asyncio.sleep(_TICK_S)


def make_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs an app: its limits are ours, and it logs nothing of requests."""
    return uvicorn.Config(
        app,
        http=bounded_protocol(settings),
        ws="none",
        lifespan="on",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(_LAST_ANSWERS_S),
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )
