"""The heart of the matter: exported checkpoints give transformers' tokens.

    pytest tests/e2e/test_parity.py --parity-cases 500 --parity-seed 7
    pytest tests/e2e/test_parity.py --parity-cases 100 --parity-target trt --parity-model bigbird
    pytest tests/e2e/test_parity.py --parity-cases 100 --parity-model causal

The figures are printed at the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from e2e.parity.cases import run_cases
from e2e.parity.options import PROPERTY, parity_runs

TOKENS_PER_CASE = 17  # fewer would say little


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize(("model", "target", "cases"), parity_runs(metafunc.config))


def test_random_cases_give_the_tokens_and_scores_of_transformers(
    model: str,
    target: str,
    cases: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    started = time.perf_counter()
    seed = request.config.getoption("--parity-seed")
    outcome, mismatches = run_cases(cases, seed, tmp_path, family=model, target=target)
    figures = {
        "name": f"{model}, {target}",
        "seconds": time.perf_counter() - started,
        "outcome": asdict(outcome),
    }
    record_property(PROPERTY, json.dumps(figures))
    assert not mismatches
    assert outcome.cases == cases
    assert outcome.tokens > TOKENS_PER_CASE * cases
    assert outcome.batch_mismatches == 0
    assert outcome.score_mismatches == 0
