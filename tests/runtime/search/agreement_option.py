"""How many searches are tried; apart from what draws them, which takes seconds to import."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("agreement", "random searches whose certain tokens are held to it")
    group.addoption("--agreement-cases", type=int, default=150, metavar="N", help="how many")
