"""Draws by inverting the cumulative distribution: as likely as they should be, and never twice."""

import numpy as np
import pytest

from pegasus_runtime.search.draws import draw_distinct, seed_generators, weigh


def test_pairs_are_drawn_as_often_as_drawing_one_after_the_other_says() -> None:
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    generator = np.random.default_rng(0)
    counts = {}
    for _ in range(4000):
        first, second = draw_distinct(weights, 2, generator).tolist()
        counts[first, second] = counts.get((first, second), 0) + 1
    statistic = 0.0
    for (first, second), count in counts.items():
        expected = 4000 * weights[first] * weights[second] / (1 - weights[first])
        statistic += (count - expected) ** 2 / expected
    assert len(counts) == 6
    assert statistic < 20.5  # chi-square with 5 degrees of freedom, p = 0.001


def test_nothing_is_drawn_twice_whatever_the_weights() -> None:
    weights = np.array([1.0, 1e-38, 1e-300, 2e-38, 0.0])
    for seed in range(50):
        drawn = draw_distinct(weights, 4, np.random.default_rng(seed)).tolist()
        assert drawn[0] == 0
        assert sorted(drawn) == [0, 1, 2, 3]


def test_what_has_no_weight_comes_last_in_order() -> None:
    weights = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    assert draw_distinct(weights, 3, np.random.default_rng(0)).tolist() == [2, 0, 1]


def test_what_is_impossible_in_fp32_weighs_nothing() -> None:
    weights = weigh(np.array([-200.0, 0.0, -np.inf, -1e9, -1.0], np.float32))
    assert weights.tolist() == pytest.approx([0.0, 1.0, 0.0, 0.0, np.exp(-1.0)])


def test_equal_documents_and_seeds_have_equal_generators_row_by_row() -> None:
    drawn = [each.random() for each in seed_generators([[5, 1], [6, 1], [5, 1]], 3, 2)]
    assert drawn[:2] == drawn[4:]
    assert len(set(drawn)) == 4
