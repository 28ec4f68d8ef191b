"""Runs of records that begin or go on, and a model that stops in the middle of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pegasus_runtime.errors import EngineError
from pegasus_runtime.records.job import OnDone
from pegasus_runtime.records.jsonl_output import JsonlOutput
from pegasus_runtime.records.jsonl_source import JsonlSource
from pegasus_runtime.records.ledger import FailureFile, Ledger
from pegasus_runtime.records.lines import Line
from pegasus_runtime.records.run import run_records
from pegasus_runtime.records.state import State
from pegasus_runtime.records.target import Target, failures_beside
from pegasus_runtime.records.window import Answer
from runtime.records.fakes import FIELDS, Capitals

__all__ = ["RUN", "Stops", "run"]

RUN = {"model": "capitals"}


class Stops:
    """Answers so many windows, and stops then."""

    identity = "capitals"

    def __init__(self, count: int) -> None:
        self.left = count

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        self.left -= 1
        if self.left < 0:
            raise EngineError("it stopped")
        return Capitals().answer(texts, on_done)


def open_ledger(output: Path, *, resume: bool = True) -> Ledger[tuple[Line, ...]]:
    target = Target(output=output, failures=failures_beside(output))
    state = target.begin(RUN, resume=resume)
    failures = FailureFile(target.failures, state, "line")
    return Ledger(JsonlOutput(output, FIELDS, state), failures, state, target.state)


def run(source: Path, output: Path, model: object = None, **options: object) -> State:
    """Goes on, or begins."""
    with closing(open_ledger(output)) as ledger:
        run_records(
            JsonlSource([str(source)], FIELDS, 2),
            model or Capitals(),  # type: ignore[arg-type]
            ledger,
            **options,  # type: ignore[arg-type]
        )
        return ledger.state
