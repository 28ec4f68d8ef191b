"""Mutated checkpoints: exported, and what comes of them asked for summaries under its defaults."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from attack.bases import FORMATS, Bases
from attack.bundles import run_bundle, sound_results
from attack.checkpoint_mutations import CANARY, CheckpointMutation, mutate_checkpoint
from attack.command_call import call, complaint, results
from attack.outcome import Outcome, Verdict, announce, draw

__all__ = ["PART", "prepare", "try_case"]

PART = "checkpoints"

_RUN_AS = {
    "summarization": "pegasus",
    "text-classification": "labels",
    "question-answering": "answers",
}
"""Task -> the bundle whose command is right for it."""


def prepare(bases: Bases) -> None:
    """Imports all that is used."""
    import torch  # noqa: F401

    sound_results(bases, "pegasus")
    call("export", ["--model", "nowhere", "--output", "nowhere"])


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Changes a copy of a checkpoint, exports it, and runs the bundle, if there is one."""
    rng = draw(PART, seed, case)
    name = rng.choice(bases.names("checkpoints"))
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(bases.checkpoint(name), place / "checkpoint")
    os.chdir(place)
    mutation = mutate_checkpoint(place / "checkpoint", rng)
    what = f"{name}, {mutation.what}"
    announce(folder, what)
    verdict, words = _export(bases, place, name, mutation)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _export(
    bases: Bases, place: Path, name: str, mutation: CheckpointMutation
) -> tuple[Verdict, str]:
    output = place / "bundle"
    arguments = ["--model", str(place / "checkpoint"), "--output", str(output), "--quiet"]
    if name in FORMATS:
        arguments += ["--target", "onnx", "--task", "feature-extraction"]
    found = call("export", arguments)
    if (place / CANARY).exists():
        return Verdict.CRASH, "code of a pickle was run"
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, fault
    beside = sorted(each.name for each in place.iterdir() if each.name != "checkpoint")
    if beside != ([output.name] if found.code == 0 else []):
        return Verdict.LEFTOVER, f"{beside} after exit code {found.code}"
    if found.code != 0:
        return Verdict.CLEAN, found.err.strip()
    if mutation.must_fail:
        return Verdict.WRONG, "exported"
    return _run_bundle(bases, output, name)


def _run_bundle(bases: Bases, output: Path, name: str) -> tuple[Verdict, str]:
    """What is exported has to run under its own defaults."""
    task = json.loads((output / "manifest.json").read_text("utf-8"))["task"]
    kind = _RUN_AS.get(task)
    if kind is None:
        return Verdict.OTHER, f"task {task}, which the runtime does not run"
    found = run_bundle(bases, kind, output, "--truncate")
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, f"the bundle: {fault}"
    if found.code != 0:
        return Verdict.WRONG, f"exported what cannot run: {found.err.strip()}"
    try:
        got = results(found)
    except ValueError as err:
        return Verdict.WRONG, f"the bundle gives {err}"
    is_same = name in bases.names("bundles") and got == sound_results(bases, name)
    return (Verdict.RIGHT if is_same else Verdict.OTHER), ""
