"""How many cases of parity are run, and what they came to, told at the end of the tests."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from e2e.parity.models import CAUSAL, MODELS, TARGETS
from e2e.parity.outcome import Outcome
from harness.table import Column, Table

__all__ = ["EXACTNESS", "PROPERTY", "parity_runs"]

PROPERTY = "parity"
EXACTNESS = "exactness"
USUAL_CASES = {
    ("pegasus", "ort"): 60,
    ("bigbird", "ort"): 20,
    ("causal", "ort"): 4,
    ("bigbird-causal", "ort"): 2,
    ("pegasus_x", "ort"): 10,
    ("pegasus", "trt-rtx"): 2,
    ("bigbird", "trt-rtx"): 2,
    ("pegasus", "generate"): 5,
    ("bigbird", "generate-ort"): 5,
}
"""(model, target) -> cases in every test run; others run when their target is named."""
COLUMNS = (
    "cases",
    "documents",
    "sequences",
    "tokens",
    "token mismatches",
    "batches that differ from their documents alone",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("parity", "random checkpoints and options against transformers")
    add = group.addoption
    add("--parity-cases", type=int, metavar="N", help="how many, in place of 2 to 60")
    add("--parity-seed", type=int, default=7, metavar="S", help="of checkpoints and options")
    add("--parity-target", choices=TARGETS, help="default: ort and trt-rtx")
    add("--parity-model", choices=tuple(MODELS), help="default: all")
    add("--parity-json", type=Path, metavar="FILE", help="write the figures to FILE")
    help_full = "the block-sparse encoder at all block sizes and lengths (minutes)"
    add("--exactness-full", action="store_true", help=help_full)


def parity_runs(config: pytest.Config) -> list[tuple[str, str, int]]:
    """(model, target, cases) of every run that the options ask for."""
    target, model = config.getoption("--parity-target"), config.getoption("--parity-model")
    usual = USUAL_CASES
    if target is not None:
        offered = [each for each in MODELS if target == "ort" or each not in CAUSAL]
        usual = {(each, target): USUAL_CASES.get((each, target), 2) for each in offered}
    asked = config.getoption("--parity-cases")
    return [
        (each, where, asked or cases)
        for (each, where), cases in usual.items()
        if model in (None, each)
    ]


def make_table(seed: int, outcomes: Iterable[tuple[str, Outcome]]) -> Table:
    """A row for each (name, outcome)."""
    columns = [Column(title=f"seed {seed}"), *(Column(title=title) for title in COLUMNS)]
    columns.append(Column(title="largest score error", digits=1, scientific=True))
    rows = [
        (
            name,
            *(found.cases, found.documents, found.sequences, found.tokens),
            *(found.token_mismatches, found.batch_mismatches, found.largest_score_error),
        )
        for name, found in outcomes
    ]
    return Table(columns=tuple(columns), rows=tuple(rows))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The figures of the tests that passed, too; of all processes, if there are several."""
    properties = [
        each
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for each in report.user_properties
    ]
    differences = [value for name, value in properties if name == EXACTNESS]
    if differences:
        terminalreporter.section("block-sparse and block-local encoders against transformers")
        terminalreporter.write_line(f"largest difference at a token: {max(differences):.1e}")
    found = [json.loads(value) for name, value in properties if name == PROPERTY]
    if found:
        _tell_parity(terminalreporter, config, found)


def _tell_parity(terminalreporter: Any, config: pytest.Config, found: list[Any]) -> None:
    found = sorted(found, key=lambda each: str(each["name"]))  # processes end in any order
    outcomes = [(each["name"], Outcome(**each["outcome"])) for each in found]
    table = make_table(config.getoption("--parity-seed"), outcomes)
    seconds = math.fsum(each["seconds"] for each in found)
    terminalreporter.section(f"parity with transformers, {seconds:.0f} s")
    terminalreporter.write_line(table.text())
    path = config.getoption("--parity-json")
    if path is not None:
        from harness.machine import describe_machine, made_by  # needs the extra bench

        words = " ".join(map(str, config.invocation_params.args))
        report = {
            "question": "Does a bundle give transformers' tokens? Random checkpoints and options.",
            "made": made_by(f"pytest {words}"),
            "machine": describe_machine(),
            "tables": {"parity": table.to_json()},
            "outcomes": [{"name": name, **asdict(each)} for name, each in outcomes],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
