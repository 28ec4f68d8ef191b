"""A request's body to what it asks for, and one clear line where it does not say that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pegasus_runtime.spelling import did_you_mean
from pegasus_serve.wire.errors import HttpError
from pegasus_serve.wire.request_models import (
    AnswerRequest,
    ClassifyRequest,
    Parameters,
    SummarizeRequest,
)

__all__ = ["parse_request"]

T = TypeVar("T", bound=BaseModel)

_SHOWN_CHARACTERS = 60
_EXPECTED = {
    "inputs": "expected a text that is not empty, or a list of at least one text",
    "context": "expected a text that is not empty",
    "question": "expected a text that is not empty",
    "early_stopping": 'expected true, false or "never"',
}
_NOT_SHOWN = ("inputs", "context", "question")
"""Fields with text of a document: no error repeats it."""
_NAMES = frozenset(
    name
    for kind in (SummarizeRequest, Parameters, ClassifyRequest, AnswerRequest)
    for name in kind.model_fields
)
"""Of fields: any other may be text of a document."""
_OF_UNIONS = ("str", "int", "float", "bool", "list", "literal", "constrained", "none", "function")
"""How pydantic's names of a union's branches begin, which say nothing to a client."""


def parse_request(body: bytes, content_type: str | None, kind: type[T]) -> T:
    """Checks strictly: no unknown field, no number in quotes. Raises: HttpError."""
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise HttpError(
            415,
            "media_type",
            f"content-type is {media_type[:_SHOWN_CHARACTERS]!r}, expected application/json: with "
            "curl, -H 'content-type: application/json'",
        )
    try:
        asked = kind.model_validate_json(body)
    except ValidationError as err:
        raise _refuse(err.errors(include_url=False), kind) from None
    try:
        json.loads(body, object_pairs_hook=_check_once)
    except ValueError as err:  # of a value that another one of its name had replaced
        raise HttpError(400, "json", f"the body is not JSON: {err}: send one object") from None
    return asked


def _check_once(pairs: Sequence[tuple[str, object]]) -> None:
    """No name twice: of two values, one reader takes the first and another the last."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = repr(name) if name in _NAMES else "a field"
            raise HttpError(422, "request", f"{shown} is there twice: send each field once")
        seen.add(name)


def _refuse(errors: Iterable[Mapping[str, Any]], kind: type[BaseModel]) -> HttpError:
    """For the first of them; one about an unknown name says why another is missing."""
    all_of_them = list(errors)
    unknown = [each for each in all_of_them if each["type"] == "extra_forbidden"]
    first = (unknown or all_of_them)[0]
    if first["type"] == "json_invalid":
        reason = first["ctx"]["error"]
        return HttpError(400, "json", f"the body is not JSON: {reason}: send one object in UTF-8")
    path = _path(first["loc"])
    name = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _fields_at(kind, path[:-1])
        where = f" in {'.'.join(path[:-1])}" if path[:-1] else ""
        return HttpError(
            422,
            "request",
            f"unknown field {path[-1][:_SHOWN_CHARACTERS]!r}{where}"
            f"{did_you_mean(path[-1], known) or ': expected ' + ', '.join(known)}",
        )
    if not path:
        return HttpError(422, "request", f"the body is no object: send {{{_example(kind)}}}")
    if first["type"] == "missing":
        return HttpError(422, "request", f"{name} is missing: send {{{_example(kind)}}}")
    expected = _EXPECTED.get(path[-1]) or _EXPECTED.get(path[0]) or _lower(first["msg"])
    got = "" if path[0] in _NOT_SHOWN else f" is {_show(first['input'])},"
    return HttpError(422, "request", f"{name}{got or ':'} {expected}")


def _path(loc: Iterable[int | str]) -> list[str]:
    """Names of fields and places in lists, without those of a union's branches."""
    names: list[str] = []
    for part in loc:
        if isinstance(part, int):
            names.append(str(part))
        elif not names or not part.startswith(_OF_UNIONS):
            names.append(part)
    return names


def _fields_at(kind: type[BaseModel], path: Iterable[str]) -> list[str]:
    for name in path:
        annotation = kind.model_fields[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        kind = annotation
    return list(kind.model_fields)


def _example(kind: type[BaseModel]) -> str:
    needed = [name for name, field in kind.model_fields.items() if field.is_required()]
    return ", ".join(f'"{name}": "..."' for name in needed)


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _lower(message: str) -> str:
    """pydantic's own words."""
    return f"{message[:1].lower()}{message[1:]}".replace("input should be", "expected")
