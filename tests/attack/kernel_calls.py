"""Bundles whose calls of kernels were changed, with hashes that fit: a stranger's graph.

Where kernels are installed nothing may end the process, and what reads out of bounds may; without
them it is ONNX Runtime that runs the functions, and it may crash on what nobody exports.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from attack.bases import Bases
from attack.bundle_mutations import Mutation, forge
from attack.bundles import judge, run_bundle, sound_results
from attack.call_mutations import has_calls, mutate_call
from attack.outcome import Outcome, announce, draw
from pegasus_runtime.native.kernels import find_kernels

__all__ = ["PART", "prepare", "try_case"]

PART = "kernel_calls"
_WITHOUT = ("fp16", "plans")
"""Bundles of which no graph has calls."""


def prepare(bases: Bases) -> None:
    """Imports all that is used, and runs every sound bundle once."""
    for name in _names(bases):
        sound_results(bases, name)


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Changes a call in a copy of a bundle, and runs it."""
    rng = draw(PART, seed, case)
    name = rng.choice(_names(bases))
    copied = folder / "bundle"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(bases.bundle(name), copied)
    graph = rng.choice([each for each in sorted(copied.glob("*.onnx")) if has_calls(each)])
    changed, words = mutate_call(graph.read_bytes(), rng)
    graph.write_bytes(changed)
    forge(copied, graph.name, changed)
    mutation = Mutation(what=f"{graph.name}: {words}", foreign=find_kernels() is None)
    what = f"{name}, {mutation.what}"
    announce(folder, what, is_foreign=mutation.foreign)
    found = run_bundle(bases, name, copied, "--check-hashes")
    verdict, why = judge(found, mutation, sound_results(bases, name))
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=why)


def _names(bases: Bases) -> list[str]:
    return [name for name in bases.names("bundles") if name not in _WITHOUT]
