"""Bodies that say something else than a request: one clear line each."""

from __future__ import annotations

import pytest

from pegasus_runtime import GenerationOptions
from pegasus_serve.wire.errors import HttpError
from pegasus_serve.wire.parse_request import parse_request
from pegasus_serve.wire.request_models import AnswerRequest, Parameters, SummarizeRequest


def refuse(body: bytes, content_type: str | None = "application/json") -> tuple[int, str, str]:
    with pytest.raises(HttpError) as caught:
        parse_request(body, content_type, SummarizeRequest)
    problem = caught.value.problem
    return problem.status, problem.code, problem.message


def test_parameters_are_the_options_of_the_runtime() -> None:
    assert set(Parameters.model_fields) == set(GenerationOptions.__dataclass_fields__)


def test_what_is_asked_is_read() -> None:
    asked = parse_request(
        b'{"inputs": ["a", "b"], "parameters": {"num_beams": 2, "length_penalty": 1,'
        b' "sequence_bias": [[[4, 5], -2.5]], "early_stopping": "never"}, "long": "chunk"}',
        "application/json; charset=utf-8",
        SummarizeRequest,
    )
    assert asked.inputs == ["a", "b"]
    assert asked.long == "chunk"
    assert asked.parameters.model_dump(exclude_none=True) == {
        "num_beams": 2,
        "length_penalty": 1.0,
        "sequence_bias": [([4, 5], -2.5)],
        "early_stopping": "never",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"inputs": "a"',
        b"\xff\xfe",
        b'{"inputs": "\\ud800"}',
        b"[" * 100_000,
        b"{\"inputs\": 'a'}",
    ],
)
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    status, code, message = refuse(body)
    assert (status, code) == (400, "json")
    assert message.startswith("the body is not JSON: ")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", 'the body is no object: send {"inputs": "..."}'),
        (b"{}", 'inputs is missing: send {"inputs": "..."}'),
        (b'{"input": "a"}', "unknown field 'input': did you mean inputs?"),
        (
            b'{"inputs": "a", "parameters": {"num_beam": 4}}',
            "unknown field 'num_beam' in parameters: did you mean num_beams?",
        ),
        (
            b'{"inputs": "a", "zzzzz": 4}',
            "unknown field 'zzzzz': expected inputs, model, parameters, long, stream, timeout_s, "
            "priority",
        ),
        (
            b'{"inputs": 4}',
            "inputs: expected a text that is not empty, or a list of at least one text",
        ),
        (
            b'{"inputs": ["SECRET", 4]}',
            "inputs: expected a text that is not empty, or a list of at least one text",
        ),
        (
            b'{"inputs": "a", "parameters": {"num_beams": "4"}}',
            'parameters.num_beams is "4", expected a valid integer',
        ),
        (
            b'{"inputs": "a", "parameters": {"num_beams": true}}',
            "parameters.num_beams is true, expected a valid integer",
        ),
        (
            b'{"inputs": "a", "parameters": {"length_penalty": NaN}}',
            "parameters.length_penalty is NaN, expected a finite number",
        ),
        (
            b'{"inputs": "a", "parameters": {"early_stopping": "nevr"}}',
            'parameters.early_stopping is "nevr", expected true, false or "never"',
        ),
        (
            b'{"inputs": "a", "parameters": {"bad_words_ids": [[1, "2"]]}}',
            'parameters.bad_words_ids.0.1 is "2", expected a valid integer',
        ),
        (
            b'{"inputs": "a", "long": "cut"}',
            "long is \"cut\", expected 'error', 'truncate' or 'chunk'",
        ),
        (b'{"inputs": "a", "timeout_s": 0}', "timeout_s is 0, expected greater than 0"),
        (b'{"inputs": "a", "priority": 11}', "priority is 11, expected less than or equal to 10"),
        (b'{"inputs": "a", "stream": 1}', "stream is 1, expected a valid boolean"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(body: bytes, message: str) -> None:
    assert refuse(body) == (422, "request", message)


def test_no_error_repeats_a_text() -> None:
    with pytest.raises(HttpError) as caught:
        parse_request(b'{"question": "", "context": "SECRET"}', None, AnswerRequest)
    assert str(caught.value) == "question: expected a text that is not empty"
    assert "SECRET" not in refuse(b'{"inputs": {"SECRET": "SECRET"}}')[2]


def test_a_long_value_is_cut() -> None:
    message = refuse(b'{"inputs": "a", "model": [' + b"1," * 5000 + b"1]}")[2]
    assert len(message) < 150


def test_a_form_is_told_how_json_is_sent() -> None:
    status, code, message = refuse(b'{"inputs": "a"}', "application/x-www-form-urlencoded")
    assert (status, code) == (415, "media_type")
    assert "expected application/json: with curl, -H" in message
    assert parse_request(b'{"inputs": "a"}', None, SummarizeRequest).inputs == "a"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"inputs": "a", "inputs": "b"}', "'inputs' is there twice: send each field once"),
        (b'{"inputs": "a", "inp\\u0075ts": "a"}', "'inputs' is there twice: send each field once"),
        (
            b'{"inputs": "a", "parameters": {"num_beams": 2, "num_beams": 4}}',
            "'num_beams' is there twice: send each field once",
        ),
        (
            b'{"inputs": "a", "parameters": {"num_beams": 2}, "parameters": {}}',
            "'parameters' is there twice: send each field once",
        ),
    ],
)
def test_of_two_values_none_is_taken_in_silence(body: bytes, message: str) -> None:
    assert refuse(body) == (422, "request", message)


def test_what_a_second_value_hides_is_looked_at_too() -> None:
    hidden = b'{"inputs": %s, "inputs": "a"}'
    assert refuse(hidden % (b"9" * 5000))[0] in (400, 422)
    assert "SECRET" not in refuse(hidden % b'{"SECRET": 1, "SECRET": 2}')[2]
    many = ",".join(f'"{each}": 1' for each in range(100_000))
    assert refuse(hidden % f'{{{many}, "1": 1}}'.encode())[0] == 422  # and not in minutes
