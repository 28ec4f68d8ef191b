"""Requests between a benchmark and its workers."""

from __future__ import annotations

import json

import pytest

from workers.line_protocol import GenerationRequest, refuse_batch_settings
from workers.padded_batch import count_new_tokens, pad_sources

REQUEST = GenerationRequest(sources=[[5, 6, 1], [7, 1]], beams=8, new_tokens=64)


def test_a_request_survives_its_line() -> None:
    assert GenerationRequest.from_line(REQUEST.to_line()) == REQUEST


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sources": []}, "sources: expected at least one document"),
        ({"sources": [[1], []]}, "sources: expected at least one document"),
        ({"beams": 0}, "beams is 0, expected 1 or more"),
        ({"new_tokens": -1}, "new_tokens is -1, expected 1 or more"),
        ({"max_batch_size": -1}, "max_batch_size is -1, expected 0 or more"),
        ({"batch_type": "bytes"}, "batch_type is 'bytes', expected one of examples, tokens"),
        ({"colour": "red"}, "the request does not have the expected fields: .*colour"),
    ],
)
def test_an_impossible_request_is_refused(changed: dict[str, object], message: str) -> None:
    content = json.loads(REQUEST.to_line()) | changed
    with pytest.raises(ValueError, match=message):
        GenerationRequest.from_line(json.dumps(content))


def test_a_line_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="the request is a list, expected a JSON object"):
        GenerationRequest.from_line("[]")


def test_engines_without_batch_settings_refuse_them() -> None:
    refuse_batch_settings(REQUEST)
    request = GenerationRequest(sources=[[1]], beams=1, new_tokens=2, max_batch_size=4)
    with pytest.raises(ValueError, match="max_batch_size is 4, but this engine takes no batch"):
        refuse_batch_settings(request)


def test_sources_are_padded_at_the_end() -> None:
    ids, mask = pad_sources([[5, 6, 1], [7, 1]])
    assert ids == [[5, 6, 1], [7, 1, 0]]
    assert mask == [[1, 1, 1], [1, 1, 0]]


def test_new_tokens_count_neither_the_start_nor_padding_at_the_end() -> None:
    assert count_new_tokens([0, 5, 0, 6, 1]) == 4
    assert count_new_tokens([0, 5, 6, 1, 0, 0]) == 3
    assert count_new_tokens([0]) == 0
