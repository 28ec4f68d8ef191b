"""A line's text out, a summary in: whatever else is in the line stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.json_line import add_to_line, read_text
from pegasus_runtime.records.problem import Problem

FIELDS = Fields()


def problem_of(line: bytes, fields: Fields = FIELDS) -> Problem:
    found = read_text(line, fields)
    assert isinstance(found, Problem)
    return found


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b'{"text": "a"', "not_json", "not JSON: Expecting ',' delimiter (character 12)"),
        (b"text", "not_json", "not JSON: Expecting value (character 0)"),
        (b'{"text": "a"} {}', "not_json", "not JSON: Extra data (character 14)"),
        (b'{"text": "a", "b": NaN}', "not_json", "not JSON: NaN is no number of JSON: write null"),
        (b'{"text": "a", "b": -Infinity}', "not_json", "not JSON: -Infinity is no number of JSON"),
        (b'{"text": "a\tb"}', "not_json", "not JSON: Invalid control character at (character 11)"),
        (b'{"a": ' + b"[" * 10**6, "not_json", "nested too deeply: leave what is not needed out"),
        (b'{"text": "\xff"}', "not_utf8", "not UTF-8 (byte 10): convert the file"),
        (b'["text"]', "not_an_object", "expected an object, got a list"),
        (b'"text"', "not_an_object", "expected an object, got a string"),
        (b"5", "not_an_object", "expected an object, got a number or null"),
        (b"true", "not_an_object", "expected an object, got true or false"),
        (b'{"a": 1, "text": "a", "a": 2}', "duplicate_key", 'the key "a" is there twice: leave'),
        (b'{"text": "a", "te\\u0078t": ""}', "duplicate_key", 'the key "text" is there twice'),
        (b"{}", "no_text", 'has no field "text": name the text\'s with --text-field'),
        (b'{"a": {"text": "b"}}', "no_text", 'has no field "text"'),
        (b'{"text": null}', "not_a_string", '"text" is a number or null, expected a string'),
        (b'{"text": {"a": 1}}', "not_a_string", '"text" is an object, expected a string'),
        (b'{"text": ["a"]}', "not_a_string", '"text" is a list, expected a string'),
        (b'{"text": "a", "summary": ""}', "field_exists", 'has a field "summary" already: rename'),
    ],
)
def test_a_line_that_has_no_text_says_why(line: bytes, code: str, message: str) -> None:
    found = problem_of(line)
    assert found.code == code
    assert found.message.startswith(message)


def test_a_message_has_no_more_than_the_beginning_of_a_key() -> None:
    key = "k" * 10**5
    found = problem_of(
        json.dumps({"text": "a"})[:-1].encode() + f', "{key}": 1, "{key}": 2}}'.encode()
    )
    assert len(found.message) < 120


LINES = {
    b'{"text": "a", "b": 1.0}\n': b'{"text": "a", "b": 1.0, "summary": "A"}\n',
    b'{"n":12345678901234567890123456789,"text":"a","m":1e400}': (
        b'{"n":12345678901234567890123456789,"text":"a","m":1e400, "summary": "A"}\n'
    ),
    b' {"text": "\\u00e4\\/"} \r\n': b'{"text": "\\u00e4\\/", "summary": "A"}\n',
    b'{"text": "a", "b": {"c": 1, "c": 2} }': (
        b'{"text": "a", "b": {"c": 1, "c": 2}, "summary": "A"}\n'
    ),
    b'{"b": ' + b"9" * 10000 + b', "text": "a"}': (
        b'{"b": ' + b"9" * 10000 + b', "text": "a", "summary": "A"}\n'
    ),
    '{"text": "two\u2028lines"}'.encode(): '{"text": "two\u2028lines", "summary": "A"}\n'.encode(),
}


@pytest.mark.parametrize("line", LINES)
def test_what_a_line_has_stays_byte_for_byte(line: bytes) -> None:
    assert isinstance(read_text(line, FIELDS), str)
    assert add_to_line(line, ("summary",), ("A",)) == LINES[line]


def test_what_is_added_is_json_whatever_it_is() -> None:
    values = ('"\n\ud800é', None, [1, 2], True, 0.1)
    line = add_to_line(b'{"text": "a"}', ("a", 'b"', "c", "d", "e"), values)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert "é".encode() in line
    assert tuple(json.loads(line).values()) == ("a", *values)


def test_an_empty_object_needs_no_comma() -> None:
    assert add_to_line(b"{ }", ("summary",), ("A",)) == b'{"summary": "A"}\n'


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), _VALUES), st.text(), st.booleans())
def test_any_object_comes_out_as_it_was_with_a_summary(
    record: dict[str, object], text: str, ascii_only: bool
) -> None:
    record = {key: value for key, value in record.items() if key != "summary"} | {"text": text}
    line = json.dumps(record, ensure_ascii=ascii_only, allow_nan=True).encode(
        "utf-8", "surrogatepass"
    )
    found = read_text(line, FIELDS)
    if isinstance(found, Problem):
        assert found.code in ("not_json", "not_utf8")  # Infinity; surrogates alone
        return
    assert found == text
    added = json.loads(add_to_line(line, ("summary",), (text,)))
    assert added == record | {"summary": text}
    assert list(added) == [*record, "summary"]
