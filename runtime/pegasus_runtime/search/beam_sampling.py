"""Beam sampling: continuations are drawn where beam search takes the best (`_beam_search` too)."""

from collections.abc import Sequence

import numpy as np

from pegasus_runtime.search.beam import Continuations
from pegasus_runtime.search.choice import check_possible
from pegasus_runtime.search.draws import draw_distinct, weigh
from pegasus_runtime.search.processors import Scores
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState

__all__ = ["draw_continuations"]


def draw_continuations(
    state: BeamState,
    log_probs: Scores,
    generators: Sequence[np.random.Generator],
    settings: SearchSettings,
) -> Continuations:
    """C continuations of each document, drawn without replacement by their summed scores.

    log_probs: [B, V] at the first step and [B*K, V] after, processed and warped. generators: one
    per document of the state.
    """
    batch_size = len(state.documents)
    token_scores = log_probs.reshape(batch_size, -1, settings.vocab_size)  # [B*K, V] -> [B, K, V]
    scores = (token_scores + state.scores[:, :, None]).reshape(batch_size, -1)  # -> [B, K*V]
    check_possible(scores.max(axis=1))
    drawn = np.stack(
        [
            draw_distinct(weigh(own), settings.num_candidates, generator)
            for own, generator in zip(scores, generators, strict=True)
        ]
    )  # [B, C]
    parents, tokens = np.divmod(drawn, settings.vocab_size)
    documents = np.arange(batch_size)[:, None]
    rows = np.minimum(parents, token_scores.shape[1] - 1)  # one stands for K equal ones at first
    return Continuations(
        scores=scores[documents, drawn],
        token_scores=token_scores[documents, rows, tokens],
        parents=parents,
        tokens=tokens,
    )
