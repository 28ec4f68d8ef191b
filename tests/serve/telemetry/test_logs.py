"""Lines of JSON, without the text of a document."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from pegasus_runtime import EngineError
from pegasus_serve.telemetry.logs import Log
from pegasus_serve.wire.client_gone import SlowClientError
from pegasus_serve.wire.request_record import RequestRecord


def test_a_request_of_a_model_has_its_numbers() -> None:
    lines: list[str] = []
    record = RequestRecord(id="a1", method="POST", path="/v1/summarize")
    record.status, record.model, record.documents = 200, "tiny", 3
    record.source_tokens, record.summary_tokens, record.engine_s = 40, 12, 0.25
    Log(lines.append).request(record)
    (line,) = lines
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    values = json.loads(line)
    del values["time"], values["seconds"]
    assert values == {
        "event": "request",
        "id": "a1",
        "method": "POST",
        "path": "/v1/summarize",
        "status": 200,
        "model": "tiny",
        "documents": 3,
        "failed": 0,
        "source_tokens": 40,
        "summary_tokens": 12,
        "engine_seconds": 0.25,
    }


def test_a_path_cannot_break_a_line() -> None:
    lines: list[str] = []
    Log(lines.append).request(
        RequestRecord(id="a", method="GET", path='/a"\n{"event": "fake"}\u2028')
    )
    assert lines[0].count("\n") == 1
    assert json.loads(lines[0])["path"].startswith('/a"\n')
    assert "\u2028" not in lines[0]


def test_an_error_of_a_library_is_told_by_its_type_and_place_alone() -> None:
    lines: list[str] = []
    log = Log(lines.append)
    for error in (ValueError("SECRET"), EngineError("the engine failed")):
        try:
            raise error
        except Exception as err:
            log.error(err, "a1")
    first, second = map(json.loads, lines)
    assert first["type"] == "ValueError"
    assert first["id"] == "a1"
    assert "test_logs.py" in first["traceback"][0]
    assert "SECRET" not in lines[0]
    assert second["message"] == "the engine failed"


def test_what_libraries_log_becomes_lines_and_slow_clients_none() -> None:
    lines: list[str] = []
    logger = logging.getLogger("tests.serve.logs")
    logger.propagate = False
    logger.addHandler(Log(lines.append).handler())
    logger.info("not this")
    logger.warning("Invalid %s", "request")
    for error in (SlowClientError(), KeyError("SECRET")):
        try:
            raise error
        except Exception:
            logger.exception("Exception in ASGI application")
    warning, failed = map(json.loads, lines)
    assert warning["message"] == "Invalid request"
    assert failed["type"] == "KeyError"
    assert "SECRET" not in lines[1]


def test_a_closed_standard_error_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Log().event("listening")
