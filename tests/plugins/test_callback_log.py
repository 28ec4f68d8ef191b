"""What goes wrong in a callback is logged, and still goes wrong."""

from __future__ import annotations

import logging

import pytest

from pegasus_plugins.callback_log import logged


@logged
def half(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def test_a_callback_returns_what_it_returned(caplog: pytest.LogCaptureFixture) -> None:
    assert half(6) == 3
    assert half.__name__ == "half"
    assert not caplog.records


def test_an_exception_is_logged_under_the_callbacks_name(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match=r"^7 is odd$"):
        half(number=7)
    assert caplog.messages == ["pegasus::BlockSparseAttention: half: 7 is odd"]
