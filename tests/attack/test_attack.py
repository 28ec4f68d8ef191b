"""A short attack of each kind, always the same: no traceback, crash, hang, wrong result, leftover.

`make attack` runs thousands of cases; `python -m attack --help` tells of one part, or one case.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from attack.bases import SHORT, Bases, write_checkpoint, write_documents
from attack.connections import has_strace
from attack.outcome import BAD
from attack.parts import PARTS, run_part
from made_once import MadeOnce

SEED = 11
CASES = {
    "bundles": 60,
    "kernel_calls": 30,
    "command_lines": 24,
    "streams": 4,
    "checkpoints": 4,
    "kills": 2,
    "resumed_runs": 1,
    "connections": 1,
    "hostile_folders": 1,
    "forks": 2,
    "full_disks": 2,
    "races": 1,
    "soaks": 1,
    "servers": 1,
}


@pytest.fixture(scope="module")
def bases(made_once: MadeOnce, tiny_bundle: Callable[..., Path]) -> Bases:
    def write(root: Path) -> None:
        made = Bases(root=root)
        write_documents(made)
        for name in ("twin", *SHORT["checkpoints"]):
            write_checkpoint(made, name)
        bundles = {
            "pegasus": tiny_bundle(),
            "fp16": tiny_bundle(precision="fp16"),
            "labels": tiny_bundle("BigBirdPegasusForSequenceClassification"),
            "twin": made_once.export(model=str(made.checkpoint("twin"))).bundle.folder,
        }
        for name, folder in bundles.items():
            shutil.copytree(folder, made.bundle(name))

    return Bases(root=made_once.folder("attack", write), short=True)


def test_every_part_is_tried() -> None:
    assert set(CASES) == set(PARTS)


@pytest.mark.parametrize("part", CASES)
def test_nothing_breaks_it(part: str, bases: Bases, tmp_path: Path) -> None:
    if part == "connections" and not has_strace():
        pytest.skip("connections are seen by strace")
    cases = range(CASES[part])
    outcomes = run_part(part, bases, tmp_path, cases, seed=SEED, num_workers=1)
    assert len(outcomes) == len(cases)
    bad = [each.line for each in outcomes if each.verdict in BAD]
    assert not bad, "\n".join(bad)
