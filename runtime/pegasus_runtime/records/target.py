"""The files that a run writes, and whether it begins or goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.growing_file import hold, write_error
from pegasus_runtime.records.parquet_output import parts_folder
from pegasus_runtime.records.state import State, check_same_run, read_state, write_state

__all__ = ["Target", "failures_beside", "is_parquet"]

_ENDINGS = (".gz", ".jsonl", ".json", ".ndjson", ".parquet")


def is_parquet(name: str) -> bool:
    """By its ending; all others are lines."""
    return name.endswith(".parquet")


def failures_beside(output: Path) -> Path:
    """out.failures.jsonl for out.jsonl, out.jsonl.gz and out.parquet."""
    name = output.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return output.with_name(f"{name}.failures.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An output, and what lies beside it."""

    output: Path
    failures: Path

    @property
    def state(self) -> Path:
        """Which says how far it is."""
        return self.output.with_name(f"{self.output.name}.resume")

    @property
    def _all(self) -> tuple[Path, ...]:
        return self.output, parts_folder(self.output), self.failures, self.state

    def check(self, inputs: Sequence[str], *, resume: bool, force: bool) -> None:
        """Whether a run may write here, before anything is loaded for it.

        resume: goes on where there is something to go on with. force: replaces what is there.
        Raises: OptionsError.
        """
        if len(set(self._all)) < len(self._all):
            raise OptionsError(f"{self.failures}: output and failures are one file: name two")
        for path in self._all:
            if any(_is_same(path, name) for name in inputs):
                raise OptionsError(f"{path}: it is read, and would be written: name another output")
        there = [path for path in self._all if os.path.lexists(path)]
        if resume and there and not os.path.lexists(self.state):
            raise OptionsError(
                f"{there[0]}: nothing says how far it is, as there is no {self.state}: name "
                "another output, or begin anew with --force in place of --resume"
            )
        if there and not resume and not force:
            raise OptionsError(
                f"{there[0]}: it is there already: go on with --resume, replace it with --force, "
                "or name another output"
            )

    def begin(self, run: Mapping[str, str], *, resume: bool) -> State:
        """How far it is, which is written where it was not; else what is there goes.

        run: see `State`. Raises: OptionsError for what another run wrote; ResultError.
        """
        found = read_state(self.state) if resume else None
        if found is not None:
            check_same_run(self.state, found.run, run)
            return found
        state = State(run=dict(run))
        try:
            self._delete()
            write_state(self.state, state)
        except OSError as err:
            raise write_error(self.state, err) from err
        return state

    def _delete(self) -> None:
        for path in (self.output, parts_folder(self.output)):
            if os.path.exists(path) and os.name != "nt":
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    hold(path, descriptor)
                finally:
                    os.close(descriptor)
        self.state.unlink(missing_ok=True)  # first: without it, nothing is gone on with
        shutil.rmtree(parts_folder(self.output), ignore_errors=True)
        for path in (self.output, self.failures):
            path.unlink(missing_ok=True)


def _is_same(path: Path, name: str) -> bool:
    try:
        return os.path.samefile(path, name)
    except OSError:
        return os.path.abspath(path) == os.path.abspath(name)
