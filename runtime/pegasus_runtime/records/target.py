"""The files that a run writes, and whether it begins or goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.growing_file import hold, write_error
from pegasus_runtime.records.lines import STDIN
from pegasus_runtime.records.parquet_output import parts_folder
from pegasus_runtime.records.state import State, check_same_run, read_state, write_state

__all__ = ["Target", "check_new_failures", "failures_beside", "is_parquet"]

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
        for place, path in enumerate(self._all):
            if any(_is_same(path, str(other)) for other in self._all[place + 1 :]):
                raise OptionsError(f"{self.failures}: output and failures are one file: name two")
            if any(_is_same(path, name) for name in inputs):
                raise OptionsError(f"{path}: it is read, and would be written: name another output")
        for path in (self.output, self.failures):
            _check_is_file(path)
        self._check_there(resume=resume, force=force)

    def _check_there(self, *, resume: bool, force: bool) -> None:
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

    def begin(self, run: Mapping[str, str], *, resume: bool, force: bool = False) -> State:
        """How far it is, which is written where it was not; else what is there goes, by force.

        run: see `State`. Raises: OptionsError for what another run wrote, and as `check` does for
        what has come since then; ResultError.
        """
        found = read_state(self.state) if resume else None
        if found is not None:
            check_same_run(self.state, found.run, run)
            return found
        self._check_there(resume=resume, force=force)
        state = State(run=dict(run))
        try:
            if force:
                self._delete()
            write_state(self.state, state)
        except OSError as err:
            raise write_error(self.state, err) from err
        return state

    def check_still(self, state: State) -> None:
        """Whether that is still how far it is, for whoever holds the output. Raises: OptionsError.

        Another run may have gone on after it was read, and ended before the output was held.
        """
        if read_state(self.state) != state:
            raise OptionsError(
                f"{self.output}: another run was writing it a moment ago: type the same again"
            )

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


def check_new_failures(path: Path) -> None:
    """Of a run without an output, which cannot be gone on with. Raises: OptionsError."""
    _check_is_file(path)
    if os.path.lexists(path):
        raise OptionsError(f"{path}: it is there already: delete it, or name another --failures")


def _check_is_file(path: Path) -> None:
    """Whether it may be deleted, if it is there: no device, no pipe. Raises: OptionsError."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OptionsError(
            f"{path}: it is a device, a pipe or a folder, expected a file: name one, or leave the "
            "option out"
        )


def _is_same(path: Path, name: str) -> bool:
    try:
        if name == STDIN:
            return os.path.samestat(os.stat(path), os.fstat(0))
        return os.path.samefile(path, name)
    except OSError:
        return name != STDIN and os.path.abspath(path) == os.path.abspath(name)
