"""How much of a document's best hypothesis is certain while its search still runs.

The hypothesis that comes out best continues a running row, or has finished. Of those that finished
it can only be the first: they keep their scores and their order, as sorting is stable and what is
new stands behind what is old, and they leave from the end. So what the first finished and all
running rows begin with is certain, and stays so: what they are after a step, they continue or were
before it. Nothing else is: any one of them comes out best if the network finds what continues the
others unlikely enough.

A running row does not count once nothing that continues it can come before the first finished one,
for which it has to score more. Where scores only fall, a row's sum s <= 0 becomes s' <= s, and its
score s' / d <= s / D, with D the largest divisor (`length_divisor`) of the lengths that are left.
Division in fp32 keeps the order, so this holds for the numbers as they are. A sum of -1e9 or less
stands for no row, and for none it will stand, which is never returned. Where an option may raise
scores above 0, all running rows count.

Samples do not look at each other: the best that has finished counts, and each that may yet come
before it, by the model's own log-probabilities, which only fall.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.beam import first_finished, is_real
from pegasus_runtime.search.score import divide_scores, length_divisor, penalize_length
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState, SampleState

__all__ = ["agreed_tokens"]

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


def agreed_tokens(
    state: BeamState | SampleState, settings: SearchSettings, known: int
) -> tuple[int, ...]:
    """The next tokens of the best hypothesis that are certain, of a state with one document.

    known: how many, start token or prompt included, were so before; they are what rows begin with.
    """
    if isinstance(state, SampleState):
        rows, length = _samples(state, settings)
    elif _differ(state, known):
        return ()
    else:
        rows, length = _beams(state, settings)
    if not len(rows):  # nothing can come out, which is an error in the end
        return ()
    tokens = rows[:, known:length]
    if len(rows) > 1:
        differs = (tokens != tokens[0]).any(axis=0)
        tokens = tokens[:, : differs.argmax() if differs.any() else None]
    return tuple(tokens[0].tolist())


def _differ(state: BeamState, known: int) -> bool:
    """Whether all running rows count, and differ in their next token: most do, so it is quick."""
    if state.is_finished[0, 0] or not is_real(state)[0, -1]:
        return False
    return known < state.length and len(set(state.sequences[0, :, known].tolist())) > 1


def _beams(state: BeamState, settings: SearchSettings) -> tuple[Int64, int]:
    """[W, T] the rows that count, and the tokens of the shortest."""
    best = first_finished(state, 0, settings)
    sequences = state.sequences[0]
    if _only_fall(settings):
        counts = is_real(state)[0]
        if best is not None:
            highest = divide_scores(state.scores[0], _largest_divisor(state.length, settings))
            counts &= highest > state.finished_scores[0, best]
        sequences = sequences[counts]
    if best is None:
        return sequences, state.length
    ended = state.finished_sequences[0, best : best + 1]
    length = min(state.length, int(state.finished_lengths[0, best]))
    return np.concatenate([sequences, ended]), length


def _samples(state: SampleState, settings: SearchSettings) -> tuple[Int64, int]:
    """The same of samples."""
    if not state.done.any():
        return state.sequences, state.length
    generated = state.lengths - settings.prompt_length
    scores = penalize_length(state.log_probs, generated, settings.length_penalty)
    best = int(np.where(state.done, scores, -np.inf).argmax())
    highest = divide_scores(state.log_probs, _largest_divisor(state.length, settings))
    counts = ~state.done & (highest >= scores[best])  # of equal ones the first row is first
    counts[best] = True
    return state.sequences[counts], int(state.lengths[counts].min())


def _only_fall(settings: SearchSettings) -> bool:
    """Whether no token can raise the sum of a row."""
    raised = any(bias > 0 for _, bias in settings.sequence_bias)
    return not raised and settings.exponential_decay is None


def _largest_divisor(length: int, settings: SearchSettings) -> np.float32:
    """Of the lengths that a row of so many tokens may still end at."""
    generated = length - settings.prompt_length
    most = settings.max_length - settings.prompt_length
    divisor: np.float32 = _largest_divisors(most, settings.length_penalty)[generated]
    return divisor


@lru_cache(maxsize=16)
def _largest_divisors(most: int, length_penalty: float) -> Float32:
    """[most] of the lengths above 0, 1, ... generated tokens."""
    divisors = length_divisor(np.arange(1, most + 1), length_penalty)
    return np.maximum.accumulate(divisors[::-1])[::-1]
