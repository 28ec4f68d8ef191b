"""The option of the tests of pegasus-serve's page."""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-of-the-page",
        action="store_true",
        help="every test of pegasus-serve's page in Chromium: make serve-test",
    )
