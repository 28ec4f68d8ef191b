"""Results as JSON: those of the runtime, field by field."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from pegasus_runtime.tasks.question_answerer import Answer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tasks.text_classifier import Classification

__all__ = ["Result", "as_json", "describe", "json_response"]

Result = Summary | Classification | Answer


def describe(result: Result) -> dict[str, object]:
    """All its fields; token_scores only if they were asked for."""
    values = dataclasses.asdict(result)
    return _without_unasked(values)


def _without_unasked(values: dict[str, object]) -> dict[str, object]:
    if values.get("token_scores", ...) is None:
        del values["token_scores"]
    alternatives = values.get("alternatives")
    if isinstance(alternatives, tuple):
        values["alternatives"] = [_without_unasked(each) for each in alternatives]
    return values


def as_json(value: object) -> bytes:
    """Numbers that JSON has not, such as an infinite score, are null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def json_response(value: object, status: int = 200) -> Response:
    """An answer of JSON."""
    return Response(as_json(value), status_code=status, media_type="application/json")


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
