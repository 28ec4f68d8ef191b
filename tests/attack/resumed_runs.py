"""Records summarised by a command that is killed again and again, and goes on each time.

python -m attack.resumed_runs BUNDLE IN --kills 20 --kind jsonl

compares what comes out with what an uninterrupted run writes, byte for byte. The part of that name
does so with the tiny bundle.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from attack.bases import Bases
from attack.killed_process import Killed, start_and_kill
from attack.outcome import Outcome, Verdict, announce, draw

__all__ = [
    "KINDS",
    "PART",
    "Resumed",
    "kill_and_resume",
    "main",
    "prepare",
    "try_case",
    "write_parquet",
]

PART = "resumed_runs"

KINDS = {
    "jsonl": ("jsonl", ()),
    "gzip": ("jsonl.gz", ()),
    "parquet": ("parquet", ()),
    "workers": ("jsonl", ("--workers=2",)),
    "chunk": ("jsonl", ("--long=chunk", "--no-repeat-ngram-size=3")),
}
"""The ending of the output, and more arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What came of it. fault: "" where all is as it should be."""

    kills: int
    whole_s: float
    """Of the run that nobody interrupted."""
    fault: str


def prepare(bases: Bases) -> None:
    """Nothing: each case is some processes of its own."""


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """One kind of output, some kills, a few short documents and some that fail."""
    rng = draw(PART, seed, case)
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    kind = rng.choice(list(KINDS))
    kills, window = (2, 2) if bases.short else (rng.randint(1, 8), rng.choice((1, 2, 5, 64)))
    what = f"{kind}, {kills} kills, --window {window}"
    announce(folder, what)
    words = bases.document("short").read_text("utf-8").split()
    times = 20 if kind == "chunk" else 1  # so that most are over the limit
    count = 30 if bases.short else 200
    texts = [" ".join((words * times)[: number % 20 * times]) for number in range(count)]
    lines = place / "in.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    if KINDS[kind][0] == "parquet":
        write_parquet(lines, place / "in.parquet")
        lines = place / "in.parquet"
    arguments = [str(bases.bundle("pegasus")), str(lines), "--threads=1", f"--window={window}"]
    found = kill_and_resume(
        place, kind, arguments, kills=kills, rng=rng, mean_s=rng.uniform(0.5, 2.0)
    )
    verdict = Verdict.WRONG if found.fault else Verdict.RIGHT
    words_found = found.fault or f"{found.kills} runs were killed"
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words_found)


def kill_and_resume(
    place: Path,
    kind: str,
    arguments: Sequence[str],
    *,
    kills: int,
    rng: random.Random,
    mean_s: float | None = None,
    end_s: float = 60.0,
) -> Resumed:
    """Runs once to the end, and once with so many kills on the way.

    arguments: BUNDLE, options and files. mean_s: between kills; None for what the first run took,
    over the kills. end_s: the last run may take so long.
    """
    ending, more = KINDS[kind]
    every = [*arguments, "--jsonl", *more]
    whole, resumed = place / f"whole.{ending}", place / f"resumed.{ending}"
    start = time.monotonic()
    found = _run(place, [*every, f"--output={whole}"], None, end_s)
    whole_s = time.monotonic() - start
    if found.code not in (0, 2):
        return Resumed(kills=0, whole_s=whole_s, fault=_describe(found))
    going_on = [*every, f"--output={resumed}", "--resume"]
    done = 0
    for _ in range(kills):
        moment = rng.uniform(0, 2 * (mean_s or whole_s / kills))
        killed = _run(place, going_on, moment, end_s)
        done += killed.code == -signal.SIGKILL
        if killed.code not in (-signal.SIGKILL, found.code):
            return Resumed(kills=done, whole_s=whole_s, fault=_describe(killed))
    last = _run(place, going_on, None, end_s)
    fault = "" if last.code == found.code else _describe(last)
    for one, other in ((whole, resumed), (_failures(whole), _failures(resumed))):
        if not fault and _read(one) != _read(other):
            fault = f"{other.name} is not {one.name}"
    return Resumed(kills=done, whole_s=whole_s, fault=fault)


def _run(place: Path, arguments: Sequence[str], moment: float | None, end_s: float) -> Killed:
    def wait(process: subprocess.Popen[bytes]) -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(end_s if moment is None else moment)

    number = None if moment is None else signal.SIGKILL
    return start_and_kill("summarize", arguments, place, number, wait)


def _failures(output: Path) -> Path:
    return output.with_name(f"{output.name.partition('.')[0]}.failures.jsonl")


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _describe(killed: Killed) -> str:
    return f"exit code {killed.code}; {killed.err.strip()[-300:]}"


def write_parquet(lines: Path, path: Path) -> None:
    """The records of JSONL as Parquet."""
    from pyarrow import json, parquet

    parquet.write_table(json.read_json(lines), path)


def main(argv: Sequence[str] | None = None) -> int:
    """One long run; 1 if what comes out is not the same."""
    parser = argparse.ArgumentParser(prog="python -m attack.resumed_runs", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("bundle", metavar="BUNDLE")
    add("input", type=Path, metavar="IN", help="JSONL, or Parquet for --kind parquet")
    add("--kind", choices=KINDS, default="jsonl")
    add("--kills", type=int, default=20, metavar="N")
    add("--seed", type=int, default=0, metavar="S")
    add("--place", type=Path, default=Path("build/resumed"), metavar="DIR")
    add("--options", default="", help="more options of pegasus-summarize, in quotes")
    arguments = parser.parse_args(argv)
    place: Path = arguments.place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    for path in place.glob("*.*"):
        path.unlink()
    resumed = kill_and_resume(
        place,
        arguments.kind,
        [arguments.bundle, str(arguments.input.resolve()), *arguments.options.split()],
        kills=arguments.kills,
        rng=random.Random(arguments.seed),
        end_s=3600,
    )
    print(resumed)
    return int(bool(resumed.fault))


if __name__ == "__main__":
    sys.exit(main())
