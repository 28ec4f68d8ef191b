"""Scores of parity are judged by what rounding makes of them, which is the checkpoint's affair."""

from __future__ import annotations

import pytest
import torch

from e2e.parity.scores import Sequences, is_within_rounding, score_error
from pegasus_runtime import Hypothesis

TOKENS = (5, 7, 1)
SHARP = 1e4


class Model(torch.nn.Module):
    """A score that rounding is amplified in, as by a sharp checkpoint.

    is_whole: weights are whole numbers, so that nothing is rounded in float32. off: what a run in
    float32 is off by besides.
    """

    def __init__(self, sharpness: float = 1.0, *, is_whole: bool = False, off: float = 0.0) -> None:
        super().__init__()
        self.sharpness, self.off = sharpness, off
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(64, 1)
        self.hidden = torch.nn.Parameter(torch.randn(64))
        if is_whole:
            for each in self.parameters():
                each.data = torch.round(each.data * 20)

    def forward(self) -> torch.Tensor:
        score: torch.Tensor = torch.cos(self.layer(self.hidden) * self.sharpness)
        return score + self.off if score.dtype == torch.float32 else score


def ask(model: Model) -> Sequences:
    with torch.no_grad():
        return [(TOKENS, model().item())]


def score_of(model: Model, *, is_exact: bool = False) -> float:
    twin = Model()
    twin.load_state_dict(model.state_dict())
    twin.sharpness, twin.off = model.sharpness, model.off
    return ask(twin.double() if is_exact else twin)[0][1]


def judge(model: Model, error: float) -> bool:
    own = [Hypothesis(token_ids=TOKENS, score=score_of(model, is_exact=True) + error)]
    return is_within_rounding(own, ask(model), model, ask)


@pytest.mark.parametrize("error", [-0.9e-4, 0.9e-4])
def test_an_error_within_the_tolerance_is_let_through(error: float) -> None:
    assert judge(Model(), error)


@pytest.mark.parametrize("error", [-1.2e-4, 1.2e-4, 1.0])
def test_an_error_that_rounding_does_not_make_is_refused(error: float) -> None:
    assert not judge(Model(), error)


def test_what_rounding_is_amplified_to_is_let_through_and_not_a_hundred_times_as_much() -> None:
    model = Model(SHARP)
    error = score_of(model) - score_of(model, is_exact=True)
    assert abs(error) > 1e-4
    assert judge(model, error)
    assert judge(model, -error)
    assert not judge(model, 100 * error)


def test_a_lucky_run_of_transformers_is_no_measure() -> None:
    model = Model(SHARP, is_whole=True)
    assert score_of(model) == pytest.approx(score_of(model, is_exact=True), abs=1e-6)
    assert judge(model, 2e-4)


def test_errors_are_those_from_float64() -> None:
    assert judge(Model(off=1e-3), 1.9e-3)
    assert not judge(Model(off=1e-3), 2.2e-3)


@pytest.mark.parametrize("error", [float("nan"), float("inf"), 0.02])
def test_what_is_no_rounding_is_refused_however_sharp_the_model(error: float) -> None:
    assert not judge(Model(off=1e9), error)


def test_sequences_are_matched_by_their_tokens() -> None:
    own = [Hypothesis(token_ids=TOKENS, score=-1.0), Hypothesis(token_ids=(1,), score=float("nan"))]
    assert score_error(own, [((1,), -1.5), (TOKENS, -1.5)]) == float("inf")
    assert score_error(own[:1], [((1,), -9.0), (TOKENS, -1.5)]) == pytest.approx(0.5 / 1.5)


@pytest.mark.parametrize("exact", [[], [((2,), -1.0)], [(TOKENS, float("nan"))]], ids=str)
def test_a_score_that_float64_has_not_is_refused(exact: Sequences) -> None:
    own = [Hypothesis(token_ids=TOKENS, score=-2.0)]
    assert not is_within_rounding(own, [(TOKENS, -1.0)], Model(), lambda _: exact)


def test_only_sequences_that_are_the_same_are_compared_and_those_that_have_a_score() -> None:
    own = [Hypothesis(token_ids=TOKENS, score=-1.0), Hypothesis(token_ids=(1,), score=-2.0)]
    assert score_error(own, [(TOKENS, -1.5), ((2,), -9.0)]) == pytest.approx(0.5 / 1.5)
    assert score_error(own, [(TOKENS, float("nan"))]) == 0.0
