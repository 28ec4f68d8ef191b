"""What came of one case: its verdict, and the line that runs it again."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["BAD", "Outcome", "Verdict", "announce", "announced", "draw"]

_NOTE = "what.json"


class Verdict(str, Enum):
    """The first three are what is asked for; FOREIGN is ONNX Runtime's own, on a graph that hashes
    would have refused; what follows it are faults."""

    CLEAN = "clean error"
    RIGHT = "right result"
    OTHER = "legitimately other"
    FOREIGN = "foreign graph"
    WRONG = "wrong result"
    CRASH = "crash"
    HANG = "hang"
    LEFTOVER = "leftover"


BAD = (Verdict.WRONG, Verdict.CRASH, Verdict.HANG, Verdict.LEFTOVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one case."""

    part: str
    seed: int
    case: int
    verdict: Verdict
    what: str
    """What was done to the product."""
    found: str = ""
    """What it did."""
    short: bool = False
    """Whether it was drawn for the short run of the tests."""

    @property
    def line(self) -> str:
        """All in one line, with the command that does it again."""
        again = f"python -m attack {self.part} --seed {self.seed} --case {self.case}"
        again += " --short" if self.short else ""
        return " ".join(f"{self.verdict.value}: {self.what}: {self.found}  [{again}]".split())


def draw(part: str, seed: int, case: int) -> random.Random:
    """The random numbers of one case, whichever others run."""
    return random.Random(f"{part} {seed} {case}")


def announce(folder: Path, what: str, *, is_foreign: bool = False) -> None:
    """Notes what is about to be tried, for whoever finds that the process has gone."""
    (folder / _NOTE).write_text(json.dumps([what, is_foreign]), encoding="utf-8")


def announced(folder: Path) -> tuple[str, bool]:
    """What was noted last: in words, and whether ONNX Runtime may crash on it."""
    if not (folder / _NOTE).exists():
        return "", False
    what, is_foreign = json.loads((folder / _NOTE).read_text("utf-8"))
    return str(what), bool(is_foreign)
