"""Which documents run together: neighbours in length, as many as a memory budget allows.

Dimensions: S source, D model dim, H heads.
"""

from collections.abc import Callable, Mapping, Sequence

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.bundle.block_sparse import GLOBAL_BLOCKS, SEEN_BLOCKS

__all__ = ["DEFAULT_BUDGET_BYTES", "Plan", "bytes_per_document", "encoder_bytes", "plan_batches"]

Plan = Callable[[Mapping[int, int]], Sequence[Sequence[int]]]
"""From the lengths of documents, in tokens and by number, to batches of numbers, longest first."""

DEFAULT_BUDGET_BYTES = 5 * 2**28  # eight documents of 512 tokens at PEGASUS' full size
_FLOAT_BYTES = 4
_MAX_DOCUMENTS = 16

# What ONNX Runtime's memory grows by in the encoder is at most so many times one layer's arrays
# (measured with 1.31: these figures are a tenth to a half too high).
_HIDDEN_STATES = 8  # [S, D]
_FEED_FORWARDS = 2  # [S, 4 D], as in every published checkpoint; a manifest does not say
_ATTENTION_SCORES = 2  # [H, S, S]; of sparse attention [H, S, 5 b], and global blocks' [H, 2 b, S]
_LOCAL_SCORES = 3  # [H, S, G + b], and global tokens' [H, G, G + S]; and copies of the blocks


def bytes_per_document(
    facts: Architecture, *, source_tokens: int, rows: int, max_length: int
) -> int:
    """Bytes that one document, padded to this length, needs while it is decoded.

    Keys and values of all decoder layers, over the source once and over the target for each of
    its rows; and the scores of the whole vocabulary for each row, three times over.
    """
    layer_tokens = facts.decoder_layers * (source_tokens + rows * max_length)
    caches = 2 * layer_tokens * facts.decoder_heads * facts.head_dim
    scores = 3 * rows * facts.vocab_size
    return _FLOAT_BYTES * (caches + scores)


def encoder_bytes(facts: Architecture, *, source_tokens: int) -> int:
    """Bytes that the encoder works in: on one document at a time, so once per batch."""
    copies = _ATTENTION_SCORES
    if facts.num_global_tokens is not None:
        copies = _LOCAL_SCORES
        source_tokens += facts.num_global_tokens
    per_token = (_HIDDEN_STATES + 4 * _FEED_FORWARDS) * facts.d_model
    per_token += copies * facts.encoder_heads * _keys_seen(facts, source_tokens)
    return _FLOAT_BYTES * source_tokens * per_token


def _keys_seen(facts: Architecture, source_tokens: int) -> int:
    """How many keys a query sees, on average."""
    if facts.attention_type == "full":
        return source_tokens
    assert facts.block_size is not None
    if facts.num_global_tokens is not None:
        return min(source_tokens, facts.block_size + 2 * facts.num_global_tokens)
    assert facts.num_random_blocks is not None
    table = facts.num_random_blocks if facts.random_blocks == "seeded" else 0
    return min(source_tokens, (SEEN_BLOCKS + GLOBAL_BLOCKS + table) * facts.block_size)


def plan_batches(
    lengths: Mapping[int, int],
    facts: Architecture,
    *,
    rows: int,
    max_length: int,
    max_documents: int | None = None,
    batch_size: int | None = None,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> list[list[int]]:
    """Documents, longest first, in batches; one that is over the budget goes alone.

    lengths: source tokens by document. A batch is padded to its first document. The longest come
    first, so that the largest batch, if it does not fit, fails at once. max_documents: of graphs
    that take no more together; their memory is of one size, and the budget not looked at.
    batch_size: what was asked for at most, whatever fits.
    """
    order = sorted(lengths, key=lambda document: -lengths[document])
    batches: list[list[int]] = []
    room = 0
    for document in order:
        if room == 0 and max_documents is not None:
            room = min(max_documents, batch_size or max_documents)
            batches.append([])
        elif room == 0:
            cost = bytes_per_document(
                facts, source_tokens=lengths[document], rows=rows, max_length=max_length
            )
            left = budget_bytes - encoder_bytes(facts, source_tokens=lengths[document])
            room = min(max(1, left // cost), batch_size or _MAX_DOCUMENTS, _MAX_DOCUMENTS)
            batches.append([])
        batches[-1].append(document)
        room -= 1
    return batches
