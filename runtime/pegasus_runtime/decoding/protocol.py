"""The seam between search and engine: what a beam search may ask of a model.

Search knows nothing of ONNX Runtime or TensorRT, and an engine knows nothing of beams beyond
their number: `tests/runtime` drives the search with a Markov chain through this same Protocol.

Dimensions: B documents, R rows per document (beams, or samples), N rows of one call,
S source tokens, C candidates, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.interrupt import Interrupt

__all__ = ["Decoding", "Engine", "StepScores"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepScores:
    """What the model thinks of the next token, for each of N rows."""

    top_scores: npt.NDArray[np.float32]
    """[N, C] the largest log-probabilities of each row, descending; ties by ascending id."""
    top_ids: npt.NDArray[np.int64]
    """[N, C] their token ids."""
    log_probs: npt.NDArray[np.float32] | None
    """[N, V] all log-probabilities: only when the call asked for `full`."""
    log_normalizer: npt.NDArray[np.float32] | None
    """[N, 1] log-sum-exp of the logits: logits = log_probs + log_normalizer; with `full` only."""


class Decoding(Protocol):
    """One batch of encoded documents, being decoded token by token."""

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        """Appends one token to every row and scores what may follow.

        The first call has one row per document: tokens [B], parents None. Each later call has
        R rows per document: tokens [B*R], parents [B, R] with values in [0, R): the row of the
        previous call whose history this row continues (after the first call: all 0).

        The scores are the caller's: no later call changes them.
        """

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        """Lets the others go: from now on these documents, in this order, are the batch.

        documents: [B'] distinct indices into the batch of now, at least one. May be called between
        any two steps; the parents of the next one refer to the documents that are left. Those that
        keep their index cost nothing; each of the others is moved.
        """


class Engine(Protocol):
    """A loaded model."""

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        """Encodes documents (token ids with EOS, unequal lengths) and readies the decoder.

        `max_length` is the largest number of tokens a row will hold, start token included.
        `interrupt` ends what runs here and in the steps, as soon as the engine can.
        A model without an encoder continues its documents, which are of one length: it reads all
        but their last tokens, and the first call of `step` is for these.
        """
