"""Command lines of extreme options, odd paths and odd documents."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from attack.bases import Bases
from attack.bundles import sound_results
from attack.command_call import MODULES, Call, call, complaint, results
from attack.odd_documents import Documents, draw_documents
from attack.option_values import draw_options
from attack.outcome import Outcome, Verdict, announce, draw

__all__ = ["PART", "prepare", "try_case"]

PART = "command_lines"

_BUNDLES = {
    "summarize": ("pegasus", "pegasus", "pegasus", "bigbird", "int8", "plans"),
    "classify": ("labels",),
    "answer": ("answers",),
    "build": ("plans",),
    "generate": ("stories",),
}
_FIELDS = {"classify": 3}
"""Of a line of text."""


def prepare(bases: Bases) -> None:
    """Imports all that is used, and runs a sound bundle and an export once."""
    import torch  # noqa: F401

    sound_results(bases, "pegasus")
    call("export", ["--model", "nowhere", "--output", "nowhere"])


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Runs one command line, in a folder of its own."""
    rng = draw(PART, seed, case)
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "loop").symlink_to("loop")
    os.chdir(place)
    command = rng.choices(tuple(MODULES), weights=(12, 3, 3, 2, 1, 3))[0]
    arguments, documents = _draw_arguments(bases, place, command, rng)
    options = draw_options(command, rng)
    shown = [each if len(each) < 60 else f"{each[:50]}...({len(each)})" for each in options]
    names = [os.path.basename(each)[:20] for each in documents.names]
    what = repr([command, *shown, *names])[1:-1]
    announce(folder, what)
    found = call(command, [*arguments, *options])
    if found.code == 0 and "--json" not in [*arguments, *options]:
        verdict, words = _judge_text(found, documents)
    else:
        verdict, words = _judge(found, documents)
    leftovers = [each for each in os.listdir(place) if each.startswith(".")]
    if leftovers:
        verdict, words = Verdict.LEFTOVER, f"{leftovers} after {words}"
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _draw_arguments(
    bases: Bases, place: Path, command: str, rng: random.Random
) -> tuple[list[str], Documents]:
    """What stands before the options."""
    none = Documents(names=[], are_sound=True)
    if command == "export":
        output = rng.choice(("out", "y" * rng.choice((200, 230, 240, 255, 256)), "a\nb", "\udcff"))
        return ["--model", str(bases.checkpoint("pegasus")), "--output", output, "--quiet"], none
    there = [each for each in _BUNDLES[command] if each in bases.names("bundles")]
    bundle = str(bases.bundle(rng.choice(there or ["pegasus"])))
    if command == "build":
        return [bundle, "--output", str(place / "out"), "--quiet"], none
    if rng.random() < 0.08:
        bundle = rng.choice(("", "\udcff", "loop", "loop/x", "x" * 300, "/dev/null", "/proc/self"))
    documents = draw_documents(bases, place, rng)
    question = ["Who sold a boat?"] if command == "answer" else []
    names = documents.names
    if command == "generate":
        names = ["--max-new-tokens=8", *(f"--file={each}" for each in names)]
    as_json = ["--json"] if rng.random() < 0.6 else []
    return [bundle, *question, *names, "--threads=1", *as_json], documents


def _judge(found: Call, documents: Documents) -> tuple[Verdict, str]:
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, fault
    if found.code != 0:
        is_options = "provider" in found.err and found.code != 2
        verdict = Verdict.WRONG if is_options else Verdict.CLEAN
        return verdict, f"{found.code} {found.err.strip()[-300:]}"
    if found.command in ("export", "build"):
        return Verdict.RIGHT, ""
    try:
        number = len(results(found))
    except ValueError as err:
        return Verdict.WRONG, str(err)
    return _judge_number(number, documents)


def _judge_text(found: Call, documents: Documents) -> tuple[Verdict, str]:
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, fault
    fields = _FIELDS.get(found.command)
    if fields is None:
        return Verdict.RIGHT, ""
    lines = found.out.splitlines()
    if any(len(line.split("\t")) != fields for line in lines):
        return Verdict.WRONG, f"a line has not {fields} fields: {lines}"
    return _judge_number(len(lines), documents)


def _judge_number(number: int, documents: Documents) -> tuple[Verdict, str]:
    expected = len(documents.names)
    if number != expected:
        return Verdict.WRONG, f"{number} results, exit code 0, {expected} documents"
    return Verdict.RIGHT, ""
