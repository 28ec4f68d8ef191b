"""Sound exports of sharp checkpoints pass their verification, and damaged ones do not.

    pytest tests/sharp --sharp-cases 1000 --sharp-seed 0 --numprocesses 2 --dist load

The figures are printed at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sharp.cases import missed_damages, run_case
from sharp.options import PROPERTY, sharp_seeds

DAMAGED = (1000, 1001, 1002)  # seeds, with over 40 damages together
LEAST_DAMAGES = 40


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        seeds = sharp_seeds(metafunc.config)
        metafunc.parametrize("seeds", seeds, ids=[f"from-{each.start}" for each in seeds])


def test_sharp_checkpoints_are_exported_and_give_the_tokens_of_transformers(
    seeds: range, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cases = [run_case(tmp_path / str(seed), seed) for seed in seeds]
    for case in cases:
        record_property(PROPERTY, json.dumps(asdict(case)))
    assert not [each for each in cases if each.refused is not None or each.different]


def test_sharp_checkpoints_are_exported_in_lower_precision(tmp_path: Path) -> None:
    cases = [run_case(tmp_path / str(seed), seed, lower=True) for seed in range(3)]
    assert not [each for each in cases if each.refused is not None]


def test_damages_of_sharp_bundles_are_found(tmp_path: Path) -> None:
    found = [missed_damages(tmp_path / str(seed), seed) for seed in DAMAGED]
    assert not [missed for each, _ in found for missed in each]
    assert sum(count for _, count in found) >= LEAST_DAMAGES
