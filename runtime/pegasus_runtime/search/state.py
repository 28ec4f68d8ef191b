"""What a search knows between two steps."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BeamState", "SampleState"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeamState:
    """Beam search over B documents with K beams each, in rows of T = max_length tokens."""

    length: int
    """Tokens in every running row, start token included."""
    documents: npt.NDArray[np.int64]
    """[B] which of the documents at the start each one is, now that others may have left."""
    sequences: npt.NDArray[np.int64]
    """[B, K, T] running rows, best first, padded behind `length`."""
    scores: npt.NDArray[np.float32]
    """[B, K] their summed log-probabilities; -1e9 marks a row that stands for none."""
    parents: npt.NDArray[np.int64]
    """[B, K] the row of the step before that each running row continues."""
    finished_sequences: npt.NDArray[np.int64]
    """[B, K, T] the best finished rows so far, best first, padded."""
    finished_lengths: npt.NDArray[np.int64]
    """[B, K] their tokens, start token included."""
    finished_scores: npt.NDArray[np.float32]
    """[B, K] their scores after the length penalty; -1e9 where no row has finished yet."""
    is_finished: npt.NDArray[np.bool_]
    """[B, K] whether a finished row is there."""
    token_scores: npt.NDArray[np.float32]
    """[B, K, T] the score of each token of the running rows; T = 0 where nobody asked for them."""
    finished_token_scores: npt.NDArray[np.float32]
    """[B, K, T] the same of the finished rows."""
    done: npt.NDArray[np.bool_]
    """[B] documents whose search is over, and that take no further step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleState:
    """Greedy search or sampling over B documents with R rows each, N = B*R."""

    length: int
    """Tokens in every row that is not done, start token included."""
    documents: npt.NDArray[np.int64]
    """[B] which of the documents at the start each one is, now that others may have left."""
    sequences: npt.NDArray[np.int64]
    """[N, T] rows of T = max_length tokens, padded behind `lengths`."""
    lengths: npt.NDArray[np.int64]
    """[N] tokens of each row, start token included."""
    log_probs: npt.NDArray[np.float32]
    """[N] the model's summed log-probabilities of the generated tokens; forced ones count 0."""
    token_scores: npt.NDArray[np.float32]
    """[N, T] the score of each token; T = 0 where nobody asked for them."""
    done: npt.NDArray[np.bool_]
    """[N] rows that have ended."""
