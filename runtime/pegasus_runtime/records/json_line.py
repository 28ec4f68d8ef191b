"""One line of JSONL: the text is read out of it, and the summary put behind what is there.

The line itself stays as it is, byte for byte: the order of its keys, numbers of any size, 1.0 and
1e400, escapes. So nothing of it can be lost on the way through Python's numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.problem import Problem

__all__ = ["add_to_line", "read_text"]

_SPACE = b" \t\r\n"
_SHOWN_CHARS = 60
_ENDS_EMPTY = re.compile(rb"\{[ \t\r\n]*\Z")


class _Object(list[tuple[str, object]]):
    """Pairs of an object, in order; keys may be there twice."""


class _NotJsonError(ValueError):
    """What Python reads and JSON has not."""


def read_text(line: bytes, fields: Fields) -> str | Problem:
    """The text of a line that is an object with it, and without what is to be added."""
    try:
        found = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_Object,
            parse_constant=_refuse_constant,
            parse_float=lambda number: None,  # they stay in the line as they are
            parse_int=lambda number: None,
        )
    except UnicodeDecodeError as err:
        return Problem(code="not_utf8", message=f"not UTF-8 (byte {err.start}): convert the file")
    except RecursionError:
        return Problem(code="not_json", message="nested too deeply: leave what is not needed out")
    except json.JSONDecodeError as err:
        return Problem(code="not_json", message=f"not JSON: {err.msg} (character {err.pos})")
    except _NotJsonError as err:
        return Problem(code="not_json", message=f"not JSON: {err}: write null in its place")
    if not isinstance(found, _Object):
        return Problem(code="not_an_object", message=f"expected an object, got {_name_of(found)}")
    return _text_of(found, fields)


def _text_of(pairs: _Object, fields: Fields) -> str | Problem:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        message = f"the key {_shown(twice)} is there twice: leave one out"
        return Problem(code="duplicate_key", message=message)
    taken = next((name for name in fields.added if name in values), None)
    if taken is not None:
        return Problem(
            code="field_exists",
            message=f"has a field {_shown(taken)} already: rename it, or give the summary another "
            "name with --output-field",
        )
    if fields.text not in values:
        message = f"has no field {_shown(fields.text)}: name the text's with --text-field"
        return Problem(code="no_text", message=message)
    text = values[fields.text]
    if not isinstance(text, str):
        message = f"{_shown(fields.text)} is {_name_of(text)}, expected a string"
        return Problem(code="not_a_string", message=message)
    return text


def add_to_line(line: bytes, names: Sequence[str], values: Sequence[object]) -> bytes:
    """The line with these fields behind its own, and a newline.

    line: one that `read_text` found a text in.
    """
    added = ", ".join(
        f"{_dump(name)}: {_dump(value)}" for name, value in zip(names, values, strict=True)
    )
    begin = line.strip(_SPACE)[:-1].rstrip(_SPACE)
    comma = b"" if _ENDS_EMPTY.search(begin) else b", "
    return begin + comma + added.encode("utf-8", "backslashreplace") + b"}\n"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refuse_constant(name: str) -> object:
    raise _NotJsonError(f"{name} is no number of JSON")


def _name_of(value: object) -> str:
    if isinstance(value, _Object):
        return "an object"
    names = {list: "a list", str: "a string", bool: "true or false"}
    # Numbers were read as None, as null is.
    return names.get(type(value), "a number or null")


def _shown(name: str) -> str:
    text = json.dumps(name)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
