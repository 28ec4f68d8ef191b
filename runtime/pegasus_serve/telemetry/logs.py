"""One line of JSON for each request and each event; never the text of a document."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from pegasus_runtime.errors import PegasusError
from pegasus_serve.wire.client_gone import SlowClientError
from pegasus_serve.wire.request_record import RequestRecord

__all__ = ["Log"]

_SHOWN_PATH = 100


class Log:
    """Lines go to standard error, or to `write`."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _write_stderr

    def event(self, name: str, values: Mapping[str, object] | None = None) -> None:
        """Of the server: that it listens, has loaded a model, ends."""
        self._line({"event": name, **(values or {})})

    def request(self, record: RequestRecord) -> None:
        """Of a request that is over."""
        values: dict[str, object] = {
            "event": "request",
            "id": record.id,
            "method": record.method[:20],
            "path": record.path[:_SHOWN_PATH],
            "status": record.status,
            "seconds": round(record.seconds, 4),
        }
        if record.code is not None:
            values["code"] = record.code
        if record.model is not None:
            values |= {
                "model": record.model,
                "documents": record.documents,
                "failed": record.failed_documents,
                "source_tokens": record.source_tokens,
                "summary_tokens": record.summary_tokens,
                "engine_seconds": round(record.engine_s, 4),
            }
        self._line(values)

    def error(self, error: BaseException, request_id: str | None = None) -> None:
        """Of a defect, or of the engine: its type, and where; what it says only if it is the
        runtime's own, as a library's may have text of a document."""
        values: dict[str, object] = {"event": "error", "type": type(error).__name__}
        if request_id is not None:
            values["id"] = request_id
        if isinstance(error, PegasusError):
            values["message"] = str(error)
        frames = traceback.extract_tb(error.__traceback__)
        values["traceback"] = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
        self._line(values)

    def handler(self) -> logging.Handler:
        """For what libraries log."""
        return _Lines(self)

    def _line(self, values: Mapping[str, object]) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._write(json.dumps({"time": now, **values}, ensure_ascii=True, default=str) + "\n")


class _Lines(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, SlowClientError):
            return  # its request has a line
        if error is not None:
            self._log.error(error)
        else:
            self._log.event("warning", {"logger": record.name, "message": record.getMessage()})


def _write_stderr(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # it is closed, full, or has no reader
        return
