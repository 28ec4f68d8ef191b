"""The parts of the gate, in the order in which they run: what the later need, the earlier show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gpu.setting import GateSetting

__all__ = ["Part", "all_parts", "find_part"]

Figures = Mapping[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """run: gives figures; raises what is wrong, or SkippedError. timeout_s: of its process."""

    name: str
    run: Callable[[GateSetting], dict[str, float | str]]
    timeout_s: float = 60


def all_parts(setting: GateSetting) -> list[Part]:
    """Those of one run; a bundle is a part of its own."""
    from gpu import (
        cancel,
        copies,
        exhaustion,
        kernels,
        machine,
        memory,
        parity,
        plugin,
        recording,
        threads,
    )

    return [
        Part(name="machine", run=machine.run),
        Part(name="copies", run=copies.run),
        Part(name="recording", run=recording.run),
        Part(name="compiled kernels", run=kernels.run_compiled),
        Part(name="kernels", run=kernels.run, timeout_s=90),
        Part(name="kernels, sanitized", run=kernels.run_sanitized, timeout_s=90),
        *(
            Part(name=f"plan {name}", run=partial(parity.run, name=name), timeout_s=90)
            for name in setting.bundles
        ),
        *(
            Part(name=f"plugin, {way}", run=partial(plugin.run, way=way), timeout_s=90)
            for way in plugin.WAYS
        ),
        Part(name="plugin, without TensorRT", run=plugin.run_harness),
        Part(name="memory", run=memory.run, timeout_s=90),
        Part(name="cancel", run=cancel.run),
        Part(name="threads", run=threads.run),
        Part(name="exhaustion", run=exhaustion.run),
    ]


def find_part(name: str, setting: GateSetting) -> Part:
    """Raises: KeyError."""
    return {part.name: part for part in all_parts(setting)}[name]
