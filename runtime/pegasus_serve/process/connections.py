"""Connections: so many at most, and none that says nothing, or says it a byte at a time."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pegasus_serve.settings import Settings

__all__ = ["bounded_protocol"]

_TOO_MANY = b'{"error": {"code": "overloaded", "message": "too many connections: try again"}}'
_TOO_SLOW = b'{"error": {"code": "slow_head", "message": "the request\'s head took too long"}}'


def bounded_protocol(settings: Settings) -> type[H11Protocol]:
    """uvicorn's protocol with limits of ours: it has none before a request's head is complete."""

    class Bounded(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            _notice_dead_peers(transport, settings.write_timeout_s)
            if len(self.connections) > settings.max_connections:
                _refuse(transport, "503 Service Unavailable", _TOO_MANY, "retry-after: 1\r\n")
                return
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_head()
            super().connection_lost(exc)

        def _watch_head(self) -> None:
            """Its time runs while there is no request that somebody works on."""
            is_busy = self.cycle is not None and not self.cycle.response_complete
            if is_busy or self.transport.is_closing():
                self._forget_head()
            elif self._head_timer is None:
                seconds = settings.header_timeout_s
                self._head_timer = self.loop.call_later(seconds, self._give_up)

        def _forget_head(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _give_up(self) -> None:
            if not self.transport.is_closing():
                _refuse(self.transport, "408 Request Timeout", _TOO_SLOW, "")

    return Bounded


def _refuse(transport: Any, status: str, body: bytes, headers: str) -> None:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{headers}connection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)
    transport.close()


def _notice_dead_peers(transport: Any, seconds: float) -> None:
    """Has the system give up a peer that acknowledges nothing, where it can."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
