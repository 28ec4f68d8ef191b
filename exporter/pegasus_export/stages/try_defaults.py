"""A search under a bundle's defaults, over scores that no model gave: what it refuses here, it
refuses for every document.

Whether any token is left, or any summary has a score, only the search itself can tell.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.settings import SearchSettings

__all__ = ["try_settings"]

_MAX_STEPS: Final = 64  # by then, all that does not depend on the document has had its effect


class _EnoughError(Exception):
    """So many steps went well."""


def try_settings(settings: SearchSettings) -> None:
    """Runs the search until it has a summary, which ends as soon as it may.

    Raises: OptionsError where there is none.
    """
    start = settings.prompt_length

    def count(length: int) -> None:
        if length - start >= _MAX_STEPS:
            raise _EnoughError

    source = settings.tokens.eos[:1] or (settings.tokens.pad,)
    try:
        with np.errstate(all="ignore"):
            generate(_EndingEngine(settings), [source], settings, on_step=count)
    except _EnoughError:
        return


class _EndingEngine:
    """See `Engine`: the same scores at each step, by which summaries end soon."""

    def __init__(self, settings: SearchSettings) -> None:
        logits = np.linspace(0, -1, settings.vocab_size, dtype=np.float32)
        logits[list(settings.tokens.eos)] = 9
        normalizer = np.log(np.exp(logits).sum(dtype=np.float32))
        self.log_probs: npt.NDArray[np.float32] = logits - normalizer
        self.log_normalizer = np.full(1, normalizer, np.float32)
        self.order = np.argsort(-logits, kind="stable")

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "_EndingEngine":
        """See `Engine`."""
        return self

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        """See `Decoding`."""
        best = self.order[:num_candidates]

        def of_each_row(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return np.tile(values, (len(tokens), 1))

        return StepScores(
            top_scores=of_each_row(self.log_probs[best]),
            top_ids=np.tile(best, (len(tokens), 1)),
            log_probs=of_each_row(self.log_probs) if full else None,
            log_normalizer=of_each_row(self.log_normalizer) if full else None,
        )

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        """See `Decoding`."""
