"""What is remembered of a request while it is answered: numbers and names, and no text."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CLIENT_GONE", "RequestRecord", "record_of", "sanitised_id"]

CLIENT_GONE = 499
"""The status of a request whose client did not wait for the answer; nobody gets it."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request; filled in by whoever knows."""

    id: str
    method: str
    path: str
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    """0 until an answer begins."""
    code: str | None = None
    """Of the error, if there is one."""
    model: str | None = None
    documents: int = 0
    failed_documents: int = 0
    source_tokens: int = 0
    summary_tokens: int = 0
    engine_s: float = 0.0
    """That its documents took, without waiting."""

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.monotonic() - self.started


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """That of an ASGI scope."""
    record: RequestRecord = scope["pegasus_serve.record"]
    return record


def sanitised_id(given: str | None) -> str:
    """The client's own X-Request-ID, where it is a short word; a new one otherwise."""
    return given if given and _ID.fullmatch(given) else uuid.uuid4().hex
