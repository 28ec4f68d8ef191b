"""Loads while another process replaces the bundle, again and again: each is of one bundle."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from attack.bases import Bases
from attack.bundles import run_bundle, sound_results
from attack.command_call import Call, complaint, results
from attack.killed_exports import publish_copy
from attack.outcome import Outcome, Verdict, announce

__all__ = ["PART", "main", "prepare", "try_case"]

PART = "races"

LOADS = 50  # of a case
_TURNS = ("pegasus", "twin")  # files of the same sizes


def prepare(bases: Bases) -> None:
    """Imports all that is used."""
    for name in _TURNS:
        sound_results(bases, name)


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Every other load checks hashes."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    output = place / "out"
    publish_copy(bases.bundle(_TURNS[0]), output)
    what = f"{LOADS} loads while the bundle is replaced"
    announce(folder, what)
    command = [sys.executable, "-m", "attack.races", str(bases.root), str(output)]
    publisher = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert publisher.stdout is not None
    publisher.stdout.readline()  # it has replaced it once
    faults = []
    for index in range(LOADS):
        options = ["--check-hashes"] if index % 2 else []
        faults.append(_fault_of(bases, run_bundle(bases, "pegasus", output, *options)))
    publisher.send_signal(signal.SIGTERM)
    publisher.wait()
    found = [each for each in faults if each]
    verdict = Verdict.WRONG if found else Verdict.RIGHT
    words = f"{len(found)} of {LOADS}, such as: {found[0]}" if found else ""
    left = [each.name for each in place.iterdir() if each != output]
    if left and not found:
        verdict, words = Verdict.LEFTOVER, str(left)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _fault_of(bases: Bases, found: Call) -> str:
    fault = complaint(found) or ("" if found.code == 0 else found.err.strip())
    if fault:
        return fault
    got = results(found)
    if any(got == sound_results(bases, name) for name in _TURNS):
        return ""
    return f"neither bundle's result: {got[:1]}"


def main(root: str, output: str) -> None:
    """Publishes the bundles in turns, until a signal ends it."""
    bases = Bases(root=Path(root))
    turn = 0
    while True:
        turn += 1
        publish_copy(bases.bundle(_TURNS[turn % len(_TURNS)]), Path(output), force=True)
        if turn == 1:
            print("replaced", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
