"""What docs/serving.md says of codes, options and metrics is what the server has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pegasus_serve.process.arguments import make_parser
from pegasus_serve.telemetry.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "serving.md").read_text("utf-8")
SOURCES = [
    path.read_text("utf-8") for path in (REPOSITORY / "runtime" / "pegasus_serve").rglob("*.py")
]


def rows(head: str) -> Iterator[list[str]]:
    """Cells of the table that begins with these columns."""
    table = PAGE[PAGE.index(head) :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def named(cell: str) -> list[str]:
    """What stands in backticks; …_b_total after a_x_total is a_b_total."""
    found: list[str] = []
    for name in re.findall(r"`([^`]+)`", cell):
        is_short = name.startswith("…")
        begin = found[0].removesuffix("_total").rpartition("_")[0] if is_short else ""
        found.append(begin + name.removeprefix("…"))
    return found


def test_the_table_of_codes_has_each_that_the_server_answers() -> None:
    source = "\n".join(SOURCES)
    made = re.findall(
        r"(?:HttpError|Problem)\(\s*(?:status=)?(\d{3}),\s*(?:code=)?\"(\w+)\"", source
    )
    told = {(status, code) for status, codes, _ in rows("| status |") for code in named(codes)}
    assert len(made) > 10
    assert set(made) - told == set()
    spelled = set(re.findall(r'"(\w+)"', source))
    spelled |= {code for text in SOURCES for code in re.findall(r'"code": "(\w+)"', text)}
    assert {code for _, code in told} - spelled == set()


def test_the_table_of_options_has_their_defaults() -> None:
    defaults = {
        option: action.default
        for action in make_parser()._actions
        for option in action.option_strings
    }
    checked = 0
    for options, shown, _ in rows("| option |"):
        for option, value in zip(named(options), shown.split(", "), strict=True):
            assert value == ("memory" if option == "--batch-size" else f"{defaults[option]:g}")
            checked += 1
    assert checked > 10


def test_metrics_that_are_told_are_there() -> None:
    metrics = Metrics({}, is_ready=lambda: True, in_flight=lambda: 0)
    known = {
        line.split()[2]
        for line in metrics.text().decode().splitlines()
        if line.startswith("# TYPE")
    }
    told = {name for cell, _ in rows("| metric |") for name in named(cell)}
    assert len(told) > 20
    assert told - known == set()
