"""Documents that are done leave the batch, so that no step is spent on them.

What stays of a state is its arrays at the documents that stay. An engine has more to move, so
these change places as little as possible: those at the end of the batch fill the holes.
"""

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.state import BeamState, SampleState

__all__ = ["done_documents", "plan_staying", "rows_of", "take_beams", "take_samples"]

Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def plan_staying(done: Bools) -> Int64:
    """Which documents [B] stay, in the order that moves as few of them as possible.

    >>> plan_staying(np.array([False, True, False, True, False])).tolist()
    [0, 4, 2]
    """
    staying = np.flatnonzero(~done)
    order = np.arange(len(staying))
    order[done[: len(staying)]] = staying[staying >= len(staying)]
    return order


def take_beams(state: BeamState, documents: Int64) -> BeamState:
    """The state of the given documents alone, in the given order."""
    arrays = {field.name for field in fields(state)} - {"length"}
    return replace(state, **{name: getattr(state, name)[documents] for name in arrays})


def take_samples(state: SampleState, documents: Int64) -> SampleState:
    """The state of the given documents alone, in the given order."""
    rows = rows_of(documents, len(state.done) // len(state.documents))
    return SampleState(
        length=state.length,
        documents=state.documents[documents],
        sequences=state.sequences[rows],
        lengths=state.lengths[rows],
        log_probs=state.log_probs[rows],
        token_scores=state.token_scores[rows],
        done=state.done[rows],
    )


def done_documents(state: SampleState) -> Bools:
    """[B] whether all rows of a document have ended."""
    by_document = state.done.reshape(len(state.documents), -1)  # [B*R] -> [B, R]
    return np.asarray(by_document.all(axis=1))


def rows_of(documents: Int64, rows_per_document: int) -> Int64:
    """The rows of documents, where each has R of them: [B] -> [B*R]."""
    return (documents[:, None] * rows_per_document + np.arange(rows_per_document)).reshape(-1)
