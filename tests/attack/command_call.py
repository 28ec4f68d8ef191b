"""A command run in this process as a shell would run it, and whether it ended as it promises."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MODULES", "Call", "call", "complaint", "results"]

MODULES = {
    "summarize": "pegasus_runtime.commands.summarize",
    "classify": "pegasus_runtime.commands.classify",
    "answer": "pegasus_runtime.commands.answer",
    "export": "pegasus_export.command.main",
    "build": "pegasus_engines.command.build",
    "generate": "pegasus_runtime.commands.generate",
}
_CODES = (0, 1, 2, 129, 130, 143)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a command gave."""

    command: str
    code: int
    out: str
    err: str
    trace: str | None = None
    """The last line of what it raised, and where."""


def call(command: str, arguments: Sequence[str]) -> Call:
    """Runs main(arguments) with files as descriptors 1 and 2: native libraries write there too."""
    trace, code = None, 0
    with _captured() as read:
        try:
            code = importlib.import_module(MODULES[command]).main(list(arguments))
        except SystemExit as err:
            code = err.code if isinstance(err.code, int) else 1
        except BaseException as err:
            trace = _where(err)
    out, err_text = read()
    return Call(command=command, code=code, out=out, err=err_text, trace=trace)


def complaint(found: Call) -> str | None:
    """What is no end that the command promises: a traceback, foreign lines, a silent failure."""
    if found.trace is not None:
        return f"traceback: {found.trace}"
    if "Traceback (most recent" in found.err or "Exception ignored" in found.err:
        return f"traceback: {found.err.strip().splitlines()[-1]}"
    if found.code not in _CODES:
        return f"exit code {found.code}: {found.err[-300:]}"
    begin = f"pegasus-{found.command}: "
    foreign = [each for each in found.err.splitlines() if each and not each.startswith(begin)]
    if foreign:
        return f"on standard error: {foreign[0][:300]}"
    if found.code not in (0, 143) and not found.err.strip():
        return f"exit code {found.code} without a word"
    return None


def results(found: Call) -> list[dict[str, Any]]:
    """The objects of --json, without what differs from run to run. Raises: ValueError."""
    records = []
    for line in found.out.splitlines():
        record = json.loads(line, parse_constant=_refuse_constant)
        for score in (record.get("score"), *(record.get("scores") or {}).values()):
            if isinstance(score, float) and not math.isfinite(score):
                raise ValueError(f"score {score}")
        records.append({key: _rounded(value) for key, value in record.items() if key != "seconds"})
    return records


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} in JSON")


def _where(err: BaseException) -> str:
    frames = traceback.extract_tb(err.__traceback__)
    ours = [each for each in frames if "/pegasus_" in each.filename] or frames
    last = ours[-1]
    place = f"{os.path.basename(last.filename)}:{last.lineno} in {last.name}"
    return f"{type(err).__name__}: {str(err)[:200]} ({place})"


@contextlib.contextmanager
def _captured() -> Iterator[Any]:
    """Gives a function that says what was written to descriptors 1 and 2, once it is over."""
    kept = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True),
            io.TextIOWrapper(
                io.FileIO(2, "w", closefd=False), write_through=True, errors="backslashreplace"
            ),
        )
        texts: list[str] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", RuntimeWarning)
                yield lambda: tuple(texts)
        finally:
            sys.stdout, sys.stderr = streams
            for number, (keep, file) in enumerate(zip(kept, (out, err), strict=True), start=1):
                os.dup2(keep, number)
                os.close(keep)
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
