"""What one run of the gate is about, and what comes of a part of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["GateSetting", "Outcome", "SkippedError", "WrongError", "read_setting", "write_setting"]

GRAPHS, CASES, KERNELS = "graphs", "cases", "kernels.pgk"


class WrongError(Exception):
    """What was looked for is not so."""


class SkippedError(Exception):
    """Something is not installed, or not there; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSetting:
    """prepared: what `gpu.prepare` wrote. work: plans, logs and results of this run.
    stand_ins: in place of a GPU. num_cases: of each bundle. num_documents: of part memory."""

    prepared: Path
    work: Path
    stand_ins: bool = False
    num_cases: int = 20
    num_documents: int = 200

    @property
    def bundles(self) -> list[str]:
        """Names of the bundles of graphs: target, checkpoint and precision."""
        folder = self.prepared / GRAPHS
        names = [x.name for x in folder.iterdir()] if folder.is_dir() else []
        return sorted(name for name in names if not name.startswith("."))  # a partial export


@dataclass(slots=True, kw_only=True)
class Outcome:
    """verdict: right, WRONG, HANGS, CRASHES or skipped. seconds: of its process."""

    part: str
    verdict: str = "right"
    seconds: float = 0.0
    said: str = ""
    figures: dict[str, float | str] = field(default_factory=dict)


def write_setting(setting: GateSetting, path: Path) -> None:
    path.write_text(json.dumps(asdict(setting), default=str), encoding="utf-8")


def read_setting(path: Path) -> GateSetting:
    found = json.loads(path.read_text("utf-8"))
    folders = {name: Path(found.pop(name)) for name in ("prepared", "work")}
    return GateSetting(**folders, **found)
