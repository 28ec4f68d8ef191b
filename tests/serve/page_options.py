"""Which tests of pegasus-serve's page are run: in `make test` one, with `make serve-test` all."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["pytest_addoption", "pytest_ignore_collect"]

_LEFT_OUT = ("test_page_of_mini.py", "test_page_states.py", "test_curl_lines.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("serve", "pegasus-serve, and its page in Chromium")
    group.addoption(
        "--all-of-serve", action="store_true", help="also those tests that take a minute together"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name in _LEFT_OUT and not config.getoption("--all-of-serve"):
        return True
    return None
