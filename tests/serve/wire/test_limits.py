"""What one request may ask for."""

from __future__ import annotations

import re

import pytest

from pegasus_runtime import GenerationOptions, OptionsError
from pegasus_serve.settings import Settings
from pegasus_serve.wire.errors import HttpError
from pegasus_serve.wire.limits import check_documents, check_timeout, read_parameters
from pegasus_serve.wire.request_models import Parameters

SETTINGS = Settings(max_beams=4, max_new_tokens=20, max_documents=2, max_timeout_s=9, timeout_s=3)


def test_options_within_the_limits_are_those_of_the_runtime() -> None:
    given = Parameters(num_beams=4, max_length=21, sequence_bias=[([4, 5], -2.5)], top_k=None)
    assert read_parameters(given, SETTINGS) == GenerationOptions(
        num_beams=4, max_length=21, sequence_bias=[((4, 5), -2.5)]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_beams": 5}, "num_beams is 5, the server takes up to 4: .* --max-beams"),
        ({"num_return_sequences": 5}, "num_return_sequences is 5, the server takes up to 4"),
        ({"max_new_tokens": 21}, "max_new_tokens is 21, .* up to 20: .* --max-new-tokens"),
        ({"max_length": 22}, "max_length is 22, the server takes up to 21"),
        ({"num_beams": 10**30}, "num_beams is 10+, the server takes up to 4"),
        ({"bad_words_ids": [[1] * 6000, [2] * 6000]}, "parameters have 12000 token ids, .* 10000"),
    ],
)
def test_more_is_refused_with_the_limit(given: dict[str, object], message: str) -> None:
    with pytest.raises(HttpError, match=message) as caught:
        read_parameters(Parameters.model_validate(given), SETTINGS)
    assert (caught.value.problem.status, caught.value.problem.code) == (422, "limit")


def test_what_the_runtime_refuses_is_named_as_the_client_wrote_it() -> None:
    with pytest.raises(OptionsError, match=re.escape("parameters.temperature is -1.0, expected")):
        read_parameters(Parameters(temperature=-1), SETTINGS)


def test_documents_and_time_are_bounded() -> None:
    check_documents(2, SETTINGS)
    with pytest.raises(HttpError, match="inputs has 3 texts, the server takes 2: send them in"):
        check_documents(3, SETTINGS)
    assert check_timeout(None, SETTINGS) == 3
    assert check_timeout(8.5, SETTINGS) == 8.5
    with pytest.raises(HttpError, match="timeout_s is 10, the server takes up to 9: ask for less"):
        check_timeout(10, SETTINGS)
