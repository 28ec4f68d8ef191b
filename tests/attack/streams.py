"""Commands whose standard input, output or error is closed, full, or has nobody beyond it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from attack.bases import Bases
from attack.command_call import MODULES, Call, complaint
from attack.outcome import Outcome, Verdict, announce, draw

__all__ = ["PART", "prepare", "try_case"]

PART = "streams"

OUTPUTS = ("kept", "closed", "full", "broken", "null")
INPUTS = ("text", "closed", "null", "folder", "broken")
_REDIRECTIONS = {"closed": "{}>&-", "full": "{}>/dev/full", "null": "{}>/dev/null"}
_INPUTS = {"text": "<{}", "closed": "<&-", "null": "</dev/null", "folder": "</"}

_SCENES = {
    "text": ("summarize", "{pegasus}", "{short}", "{other}"),
    "json": ("summarize", "{pegasus}", "{short}", "{other}", "--json"),
    "missing": ("summarize", "{pegasus}", "nofile", "{short}"),
    "cut": ("summarize", "{pegasus}", "{long}", "{short}", "--truncate"),
    "no bundle": ("summarize", "nowhere", "{short}"),
    "no option": ("summarize", "{pegasus}", "{short}", "--num-beam=3"),
    "standard input": ("summarize", "{pegasus}", "-", "{short}"),
    "labels": ("classify", "{labels}", "{short}", "nofile"),
    "labels cut": ("classify", "{labels}", "{long}", "--truncate"),
    "other task": ("answer", "{labels}", "Who?", "{short}"),
    "help": ("summarize", "--help"),
    "version": ("classify", "--version"),
    "export help": ("export", "--help"),
    "export version": ("export", "--version"),
    "no checkpoint": ("export", "--model", "./nowhere", "--output", "out"),
    "export": ("export", "--model", "{checkpoint}", "--output", "out"),
    "export json": ("export", "--model", "{checkpoint}", "--output", "out", "--json"),
    "export quiet": ("export", "--model", "{checkpoint}", "--output", "out", "--quiet"),
}
_EXPORTS = ("export", "export json", "export quiet")  # these take seconds


def prepare(bases: Bases) -> None:
    """Nothing: each case is a process of its own."""


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Runs a command with odd streams, and compares it with the same under usual ones."""
    rng = draw(PART, seed, case)
    scene = rng.choice([*_SCENES, *(each for each in _SCENES if each not in _EXPORTS)])
    reads = scene == "standard input"
    source = rng.choice(INPUTS) if reads else rng.choice(("null", "closed"))
    out, err = rng.choice(OUTPUTS), rng.choice(OUTPUTS)
    what = f"{scene}: input {source}, output {out}, error {err}"
    announce(folder, what)
    usual = _run_usual(bases, folder, scene, source if reads else "null")
    found = _run(bases, folder, scene, source, out, err)
    verdict, words = _judge(found, usual, out, is_export=scene in _EXPORTS, folder=folder)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _judge(
    found: Call, usual: Call, out: str, *, is_export: bool, folder: Path
) -> tuple[Verdict, str]:
    seen = f"exit code {found.code}, as usual {usual.code}; {found.err.strip()[-200:]}"
    if found.code == -1:
        return Verdict.HANG, seen
    fault = complaint(found)
    silent = fault is not None and fault.endswith("without a word")  # standard error may be gone
    if fault is not None and not silent:
        return Verdict.CRASH, fault
    if is_export and (folder / "place" / "out").exists() != (found.code == 0 or out != "kept"):
        return Verdict.WRONG, f"the bundle is {'' if found.code == 0 else 'not '}there: {seen}"
    codes = {usual.code}
    if usual.out and out in ("closed", "full"):
        codes = {1, 2, usual.code} if usual.code else {1, 2}
    elif usual.out and out == "broken":
        codes = {usual.code, 0}
    if found.code not in codes:
        return Verdict.WRONG, seen
    if out == "kept" and _plain(found.out) != _plain(usual.out):
        return Verdict.WRONG, f"standard output is {found.out[:200]!r}; {seen}"
    return (Verdict.CLEAN if found.code else Verdict.RIGHT), seen


def _plain(text: str) -> list[str]:
    """Lines without what differs from run to run."""
    lines = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
            record.pop("seconds", None)
            lines.append(json.dumps(record))
        except (ValueError, AttributeError):
            lines.append("".join(each for each in line if not each.isdigit()))
    return lines


@cache
def _run_usual(bases: Bases, folder: Path, scene: str, source: str) -> Call:
    return _run(bases, folder, scene, source, "kept", "kept")


def _run(bases: Bases, folder: Path, scene: str, source: str, out: str, err: str) -> Call:
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command, *arguments = _SCENES[scene]
    python = [sys.executable, "-m", MODULES[command]]
    named = {each: str(bases.document(each)) for each in ("short", "other", "long")}
    named |= {each: str(bases.bundle(each)) for each in ("pegasus", "labels")}
    named["checkpoint"] = str(bases.checkpoint("pegasus"))
    words = [each.format(**named) for each in arguments]
    broken = _broken_pipe()
    streams = [_INPUTS.get(source, f"<&{broken}").format(bases.document("short"))]
    for number, what, name in ((1, out, "out"), (2, err, "err")):
        usual = f"{number}>{folder / name}"
        (folder / name).write_text("")
        streams.append(
            f"{number}>&{broken}" if what == "broken" else _REDIRECTIONS.get(what, usual)
        )
    redirections = " ".join(each.format(number) for number, each in enumerate(streams))
    try:
        code = subprocess.run(
            [
                "sh",
                "-c",
                f'exec "$0" "$@" {redirections}',
                *python,
                *words,
            ],
            pass_fds=[broken],
            cwd=place,
            timeout=60,
        ).returncode
    except subprocess.TimeoutExpired:
        code = -1
    os.close(broken)
    return Call(
        command=command,
        code=code,
        out=(folder / "out").read_text("utf-8", "replace"),
        err=(folder / "err").read_text("utf-8", "replace"),
    )


def _broken_pipe() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing
