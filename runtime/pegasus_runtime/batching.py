"""Which documents run together: neighbours in length, as many as a memory budget allows."""

from collections.abc import Sequence

from pegasus_runtime.bundle import Architecture

__all__ = ["DEFAULT_BUDGET_BYTES", "bytes_per_document", "plan_batches"]

DEFAULT_BUDGET_BYTES = 2**30
_FLOAT_BYTES = 4
_MAX_DOCUMENTS = 16


def bytes_per_document(
    facts: Architecture, *, source_tokens: int, rows: int, max_length: int
) -> int:
    """Bytes that one document keeps while it is decoded.

    Keys and values of all decoder layers, over the source once and over the target for each of
    its rows; and the scores of the whole vocabulary for each row, three times over.
    """
    layer_tokens = facts.decoder_layers * (source_tokens + rows * max_length)
    caches = 2 * layer_tokens * facts.decoder_heads * facts.head_dim
    scores = 3 * rows * facts.vocab_size
    return _FLOAT_BYTES * (caches + scores)


def plan_batches(
    lengths: Sequence[int],
    facts: Architecture,
    *,
    rows: int,
    max_length: int,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> list[list[int]]:
    """Indices of documents, longest first, in batches; one that is over the budget goes alone.

    lengths: source tokens of each document. The longest first, so that the largest batch, if it
    does not fit, fails at once.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if room == 0:
            cost = bytes_per_document(
                facts, source_tokens=lengths[index], rows=rows, max_length=max_length
            )
            room = min(max(1, budget_bytes // cost), _MAX_DOCUMENTS)
            batches.append([])
        batches[-1].append(index)
        room -= 1
    return batches
