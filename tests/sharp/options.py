"""How many sharp checkpoints are tried, and what they came to, told at the end of the tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

__all__ = ["CASES_PER_TEST", "PROPERTY", "sharp_seeds"]

PROPERTY = "sharp"
CASES_PER_TEST = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sharp", "random checkpoints that amplify rounding")
    group.addoption("--sharp-cases", type=int, default=40, metavar="N", help="how many")
    group.addoption("--sharp-seed", type=int, default=0, metavar="S", help="of the first")


def sharp_seeds(config: pytest.Config) -> list[range]:
    """Of each test; a file's tests may run in several processes with `--dist load`."""
    first, cases = config.getoption("--sharp-seed"), config.getoption("--sharp-cases")
    last = first + cases
    return [
        range(start, min(start + CASES_PER_TEST, last))
        for start in range(first, last, CASES_PER_TEST)
    ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The figures of the tests that failed, too; of all processes, if there are several."""
    cases = [
        json.loads(value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if cases:
        terminalreporter.section("sharp checkpoints")
        for line in _describe(cases):
            terminalreporter.write_line(line)


def _describe(cases: list[dict[str, Any]]) -> list[str]:
    refused = [each for each in cases if each["refused"] is not None]
    ratios = sorted(
        each["error"] / max(each["fp32_error"], 1e-12) for each in cases if not each["refused"]
    )
    lines = [f"{len(cases)} checkpoints, {len(refused)} refused"]
    lines.append(
        f"summaries that differ: {sum(each['different'] for each in cases)}, "
        f"ties aside: {sum(each['ties'] for each in cases)}"
    )
    if ratios:
        shares = ", ".join(
            f"{int(100 * share)} %: {ratios[min(len(ratios) - 1, int(share * len(ratios)))]:.2f}"
            for share in (0.05, 0.5, 0.95, 1)
        )
        lines.append(f"error of the bundle / of torch's float32, of the worst graph: {shares}")
    used = [each["error"] / each["tolerance"] for each in cases if not each["refused"]]
    nearest = max(used, default=0.0)
    lines.append(f"largest share of what is allowed: {nearest:.2f}")
    return lines
