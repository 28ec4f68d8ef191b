"""Settings are checked when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from pegasus_runtime import OptionsError
from pegasus_serve.settings import Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_beams": 0}, "max_beams is 0, expected an integer from 1 up"),
        ({"batch_size": True}, "batch_size is True, expected an integer from 1 up"),
        ({"timeout_s": 0}, "timeout_s is 0, expected a number above 0"),
        ({"grace_s": -1}, "grace_s is -1, expected a number from 0"),
        ({"max_timeout_s": float("nan")}, "max_timeout_s is nan, expected a number above 0"),
        ({"timeout_s": 400}, "timeout_s is 400, expected at most max_timeout_s, which is 300"),
        (
            {"max_body_total_bytes": 5},
            "max_body_total_bytes is 5, expected at least max_body_bytes",
        ),
        ({"token": "short"}, "the token has 5 characters, expected at least 8"),
        ({"token": "with a space"}, "expected at least 8 of ASCII without spaces"),
        ({"allow_origins": ("https://a.org/b",)}, "allowed origin is 'https://a.org/b', expected"),
    ],
)
def test_a_setting_of_no_use_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        Settings(**given)


def test_the_token_is_not_shown() -> None:
    settings = Settings(token="top-secret-token", allow_origins=("*", "http://localhost:3000"))
    assert "secret" not in repr(settings)
