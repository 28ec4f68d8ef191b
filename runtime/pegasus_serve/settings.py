"""What the server allows, and how long it waits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from pegasus_runtime.errors import OptionsError

__all__ = ["Settings"]

_MIB = 2**20
_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.\-\[\]:]+")
_SHORTEST_TOKEN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits, times and access of one server. Raises OptionsError.

    >>> Settings(max_beams=4, timeout_s=20).max_beams
    4
    """

    max_body_bytes: int = 8 * _MIB
    """Of one request."""
    max_body_total_bytes: int = 256 * _MIB
    """Of all requests that are there at a time."""
    max_documents: int = 64
    """Of one request."""
    max_beams: int = 8
    """Beams, and returned sequences, that a request may ask for; a bundle's own default may be
    more."""
    max_new_tokens: int = 1024
    """Tokens of a summary that a request may ask for; the bundle's own limit holds, too."""
    max_queue: int = 256
    """Documents of one model that wait; see `Batcher`."""
    max_wait_ms: float = 5.0
    """For others to join a document; see `Batcher`."""
    batch_size: int | None = None
    """Documents that run together; None: as many as memory allows."""
    max_requests: int = 512
    """That are worked on at a time."""
    max_connections: int = 1024
    """That are open at a time, idle ones included."""
    timeout_s: float = 60.0
    """Of a request that names none."""
    max_timeout_s: float = 300.0
    """That a request may name."""
    header_timeout_s: float = 10.0
    """For the head of a request, from its connection's first or last byte on."""
    body_timeout_s: float = 30.0
    """For all of a request's body."""
    write_timeout_s: float = 30.0
    """For a client to take a part of an answer."""
    grace_s: float = 30.0
    """For what runs, when the server is told to end."""
    token: str | None = field(default=None, repr=False)
    """That requests have to bring; None: none."""
    allow_origins: tuple[str, ...] = ()
    """Of pages in a browser that may read answers: CORS; "*" is any."""

    def __post_init__(self) -> None:
        for name in (
            "max_body_bytes",
            "max_body_total_bytes",
            "max_documents",
            "max_beams",
            "max_new_tokens",
            "max_queue",
            "max_requests",
            "max_connections",
        ):
            _check_count(name, getattr(self, name))
        if self.batch_size is not None:
            _check_count("batch_size", self.batch_size)
        for name in (
            "timeout_s",
            "max_timeout_s",
            "header_timeout_s",
            "body_timeout_s",
            "write_timeout_s",
        ):
            _check_seconds(name, getattr(self, name), above=True)
        for name in ("max_wait_ms", "grace_s"):
            _check_seconds(name, getattr(self, name), above=False)
        if self.timeout_s > self.max_timeout_s:
            raise OptionsError(
                f"timeout_s is {self.timeout_s:g}, expected at most max_timeout_s, which is "
                f"{self.max_timeout_s:g}: lower it, or raise that"
            )
        if self.max_body_total_bytes < self.max_body_bytes:
            raise OptionsError(
                f"max_body_total_bytes is {self.max_body_total_bytes}, expected at least "
                f"max_body_bytes, which is {self.max_body_bytes}: raise it, or lower that"
            )
        self._check_access()

    def _check_access(self) -> None:
        if self.token is not None:
            is_word = self.token.isascii() and self.token.isprintable() and " " not in self.token
            if not is_word or len(self.token) < _SHORTEST_TOKEN:
                raise OptionsError(
                    f"the token has {len(self.token)} characters, expected at least "
                    f"{_SHORTEST_TOKEN} of ASCII without spaces: make one with openssl rand -hex 24"
                )
        for origin in self.allow_origins:
            if not _ORIGIN.fullmatch(origin):
                raise OptionsError(
                    f"allowed origin is {origin!r}, expected one such as https://example.org, "
                    "without a path, or *"
                )


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionsError(f"{name} is {value!r}, expected an integer from 1 up")


def _check_seconds(name: str, value: object, *, above: bool) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (
        not is_number
        or not math.isfinite(value)  # type: ignore[arg-type]
        or value < 0  # type: ignore[operator]
        or (above and value == 0)
    ):
        raise OptionsError(
            f"{name} is {value!r}, expected a number {'above' if above else 'from'} 0"
        )
