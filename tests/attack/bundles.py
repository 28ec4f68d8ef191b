"""Mutated bundles: loaded and asked for what the sound ones answer."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

from attack.bases import BUNDLES, Bases
from attack.bundle_mutations import Mutation, mutate_bundle
from attack.command_call import Call, call, complaint, results
from attack.outcome import Outcome, Verdict, announce, draw

__all__ = ["PART", "arguments_for", "prepare", "run_bundle", "sound_results", "try_case"]

PART = "bundles"


def prepare(bases: Bases) -> None:
    """Imports all that is used, and runs every sound bundle once."""
    for name in bases.names("bundles"):
        sound_results(bases, name)


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Changes a copy of a bundle, and runs it."""
    rng = draw(PART, seed, case)
    name = rng.choice(bases.names("bundles"))
    copied = folder / "bundle"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(bases.bundle(name), copied)
    sound = sound_results(bases, name)
    mutation = mutate_bundle(copied, rng)
    options = ["--check-hashes"] if mutation.check_hashes else []
    what = " ".join([f"{name}, {mutation.what}", *options])
    announce(folder, what, is_foreign=mutation.foreign)
    found = run_bundle(bases, name, copied, *options)
    verdict, words = judge(found, mutation, sound)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def judge(found: Call, mutation: Mutation, sound: list[dict[str, Any]]) -> tuple[Verdict, str]:
    """The verdict, and why."""
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, fault
    if found.code != 0:
        return Verdict.CLEAN, found.err.strip()
    try:
        got = results(found)
    except ValueError as err:
        return (Verdict.OTHER if mutation.allowed == "any" else Verdict.WRONG), str(err)
    if mutation.allowed == "refused":
        return Verdict.WRONG, "accepted"
    if got == sound:
        return Verdict.RIGHT, ""
    if mutation.allowed == "any":
        return Verdict.OTHER, ""
    return Verdict.WRONG, f"{got[:1]}, expected {sound[:1]}"


def run_bundle(bases: Bases, name: str, folder: Path, *options: str) -> Call:
    """The command that this kind of bundle is for, on two documents."""
    return call(BUNDLES[name].command, [*arguments_for(bases, name, folder), *options])


def arguments_for(bases: Bases, name: str, folder: Path) -> list[str]:
    """A small request of this kind of bundle."""
    kind = BUNDLES[name]
    question = ["Who sold a red boat?"] if kind.command == "answer" else []
    documents = [str(bases.document(each)) for each in ("short", "other")]
    if kind.command == "generate":
        documents = [f"--file={each}" for each in documents]
    first = [str(folder), *question, *documents]
    return [*first, "--json", "--threads", "1", *kind.arguments]


@cache
def sound_results(bases: Bases, name: str) -> list[dict[str, Any]]:
    """What the sound bundle answers."""
    found = run_bundle(bases, name, bases.bundle(name))
    fault = complaint(found)
    if fault is not None or found.code != 0:
        raise RuntimeError(f"the sound bundle {name} fails: {fault or found.err}")
    return results(found)
