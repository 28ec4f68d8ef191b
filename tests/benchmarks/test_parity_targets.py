"""parity.py on the graphs that plans are built of."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity import run_cases


@pytest.mark.parametrize("family", ["pegasus", "bigbird"])
def test_graphs_of_plans_give_the_tokens_of_transformers(tmp_path: Path, family: str) -> None:
    results = []
    for outcome, mismatches in run_cases(
        2, seed=7, folder=tmp_path, family=family, target="trt-rtx"
    ):
        assert not mismatches
        results.append(outcome)
    assert results[-1].cases == 2
    assert results[-1].tokens > 0
    assert results[-1].batch_mismatches == 0
    assert results[-1].score_mismatches == 0
