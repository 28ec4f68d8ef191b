"""How many texts the pipelines are compared at."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pipelines", "pipelines against those of transformers 4.57")
    group.addoption(
        "--pipeline-texts",
        type=int,
        default=2,
        metavar="N",
        help="texts for each set of options, of pegasus-mini; from 3 on of bigbird-mini, too",
    )
