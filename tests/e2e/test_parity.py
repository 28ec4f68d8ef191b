"""The heart of the matter: exported checkpoints give transformers' tokens."""

from pathlib import Path

from parity import run_cases


def test_sixty_random_cases_give_the_tokens_and_scores_of_transformers(tmp_path: Path) -> None:
    results = []
    for outcome, mismatches in run_cases(60, seed=7, folder=tmp_path):
        assert not mismatches
        results.append(outcome)
    outcome = results[-1]
    assert outcome.cases == 60
    assert outcome.tokens > 1000  # the cases say something
    assert outcome.batch_mismatches == 0
    assert outcome.score_mismatches == 0


def test_sparse_documents_have_the_tokens_and_scores_of_transformers(tmp_path: Path) -> None:
    results = []
    for outcome, mismatches in run_cases(20, seed=7, folder=tmp_path, family="bigbird"):
        assert not mismatches
        results.append(outcome)
    outcome = results[-1]
    assert outcome.tokens > 300
    assert outcome.batch_mismatches == 0
    assert outcome.score_mismatches == 0
