"""Exports and summaries, of folders and by name, that a signal ends at a random moment."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from attack import killed_by_name, killed_exports, killed_summaries
from attack.bases import Bases
from attack.outcome import Outcome, draw

__all__ = ["PART", "prepare", "try_case"]

PART = "kills"


def prepare(bases: Bases) -> None:
    """Nothing: each case is a process of its own."""


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Starts a command, ends it, and looks at what is left."""
    rng = draw(PART, seed, case)
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    number = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    kind = rng.choices((killed_exports, killed_summaries, killed_by_name), weights=(6, 3, 3))[0]
    what, verdict, words = kind.try_kill(bases, place, number, rng)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)
