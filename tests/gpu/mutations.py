"""Damaged copies of the runtime's GPU path: each has to fail the gate, or the gate sees nothing.

They run against the stand-ins. A copy lies before the package on PYTHONPATH; nothing else differs.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpu.parts import all_parts
from gpu.run_parts import BAD, run_parts
from gpu.setting import GateSetting, Outcome

__all__ = ["MUTATIONS", "Mutation", "damage", "run_mutation", "run_mutations"]

RUNTIME = Path(__file__).resolve().parents[2] / "runtime" / "pegasus_runtime"
PLAN = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """file: below sessions/. old: text that stands there once. part: that is tried first, which is
    the one that should find it; PLAN is the plans' parts."""

    name: str
    file: str
    old: str
    new: str
    part: str = PLAN


MUTATIONS = (
    Mutation(
        name="a copy reads the caller's array",
        file="cuda/device.py",
        old="staged.ctypes.data, piece,",
        new="piece.ctypes.data, piece,",
        part="copies",
    ),
    Mutation(
        name="a download does not wait",
        file="cuda/device.py",
        old="                self.synchronize()\n                piece[...] = staged",
        new="                piece[...] = staged",
        part="copies",
    ),
    Mutation(
        name="staging memory is used again before it was read",
        file="cuda/device.py",
        old="_STAGING_BYTES:\n            self.synchronize()",
        new="_STAGING_BYTES:\n            self._staging.used = 0",
        part="copies",
    ),
    Mutation(
        name="fresh memory holds what was there",
        file="cuda/device.py",
        old="buffer.address, 0, size, self.stream",
        new="buffer.address, 0, 0, self.stream",
        part="copies",
    ),
    Mutation(
        name="pieces are written without their gaps",
        file="cuda/device.py",
        old="                target.pitch,\n",
        new="                target.width,\n",
        part="copies",
    ),
    Mutation(
        name="memory is freed at once",
        file="cuda/device.py",
        old="weakref.finalize(owner, self.frees.free, name, handle).atexit = False",
        new="self.frees.free(name, handle)",
        part="copies",
    ),
    Mutation(
        name="memory is never freed",
        file="cuda/device.py",
        old="weakref.finalize(owner, self.frees.free, name, handle).atexit = False",
        new="del owner, name, handle",
        part="exhaustion",
    ),
    Mutation(
        name="what is let go while recording is freed then",
        file="cuda/recording.py",
        old="with device.hold(), device.frees.postponed():",
        new="with device.hold():",
        part="recording",
    ),
    Mutation(
        name="a recording that failed goes on",
        file="cuda/recording.py",
        old="            self._abandon()\n",
        new="",
        part="recording",
    ),
    Mutation(
        name="every context has the first profile",
        file="tensorrt/graph.py",
        old="set_optimization_profile_async, profile, stream)",
        new="set_optimization_profile_async, 0, stream)",
    ),
    Mutation(
        name="plans share too little scratch memory",
        file="tensorrt/plans.py",
        old="Scratch(device, max(needs))",
        new="Scratch(device, max(needs) // 2)",
    ),
    Mutation(
        name="the first run of a shape is recorded",
        file="tensorrt/graph.py",
        old="if self._has_run and self._recorded is None",
        new="if self._recorded is None",
    ),
    Mutation(
        name="views are bound where their buffers begin",
        file="tensorrt/graph.py",
        old="set_tensor_address, tensor.name, view.address)",
        new="set_tensor_address, tensor.name, view.buffer.address)",
    ),
    Mutation(
        name="arrays lie anywhere",
        file="device/arrays.py",
        old="_ALIGNMENT = 256",
        new="_ALIGNMENT = 8",
    ),
    Mutation(
        name="a step does not see its tokens",
        file="device/decoder.py",
        old="            self.cache.inputs.upload()\n",
        new="",
    ),
    Mutation(
        name="a beam goes on with its own history",
        file="device/decoder.py",
        old="            self._follow(parents)\n",
        new="            pass\n",
    ),
    Mutation(
        name="keys are written a place too far",
        file="device/workspace.py",
        old="our.offset + position * token",
        new="our.offset + max(position - 1, 0) * token",
    ),
    Mutation(
        name="a longer cache has nothing of the shorter one",
        file="device/workspace.py",
        old="        self.write(shorter.past, 0, count=length)\n",
        new="",
    ),
    Mutation(
        name="a longer cache forgets whose beams they were",
        file="device/workspace.py",
        old='shorter.inputs.arrays["cache_indirection"][:, :, :length]\n',
        new="0\n",
    ),
    Mutation(
        name="every document is the first of its batch",
        file="device/encoder.py",
        old="cross.offset + row * heads * pitch",
        new="cross.offset + 0 * row * heads * pitch",
    ),
    Mutation(
        name="padding is read",
        file="device/encoder.py",
        old='arrays["attention_mask"][...] = 0',
        new='arrays["attention_mask"][...] = 1',
    ),
)


def damage(mutation: Mutation, folder: Path) -> None:
    """Writes a damaged copy of the runtime there. Raises: ValueError if it no longer applies."""
    target = folder / RUNTIME.name
    shutil.copytree(RUNTIME, target, ignore=shutil.ignore_patterns("__pycache__"))
    path = target / "sessions" / mutation.file
    source = path.read_text("utf-8")
    if source.count(mutation.old) != 1:
        raise ValueError(
            f"mutation {mutation.name!r}: {mutation.old!r} stands {source.count(mutation.old)} "
            f"times in sessions/{mutation.file}, expected once: write it anew"
        )
    path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")


def run_mutation(setting: GateSetting, mutation: Mutation) -> Outcome | None:
    """The first part that fails under it; None if the gate passes."""
    folder = setting.work / "".join(x if x.isalnum() else "-" for x in mutation.name)
    damage(mutation, folder)
    parts = all_parts(setting)
    first = [part for part in parts if part.name.startswith(mutation.part)]
    paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    outcomes = run_parts(
        replace(setting, work=folder / "work"),
        [*first, *(part for part in parts if part not in first)],
        stop_early=True,
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(x for x in paths if x)},
    )
    return outcomes[-1] if outcomes[-1].verdict in BAD else None


def run_mutations(setting: GateSetting, mutations: Sequence[Mutation] = MUTATIONS) -> int:
    """Prints which part found each; 1 if one was not found."""
    missed = 0
    for mutation in mutations:
        found = run_mutation(setting, mutation)
        missed += found is None
        told = "NOT FOUND" if found is None else f"{found.part}: {found.verdict}: {found.said}"
        print(f"{mutation.name}: {told}", flush=True)
    print(f"{len(mutations) - missed} of {len(mutations)} damaged copies fail", file=sys.stderr)
    return int(missed > 0)
