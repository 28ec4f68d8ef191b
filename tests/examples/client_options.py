"""With what the clients in other languages are held against Python."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clients", "examples in other languages against Python")
    group.addoption(
        "--client-reports",
        type=int,
        default=0,
        metavar="N",
        help="held-out reports, summarised by pegasus-mini in fp32 and int8 "
        "(default: three sentences and a tiny checkpoint)",
    )
