"""What bundles are tried with: a small random batch that reaches everything.

Dimensions: B documents, R rows per document, N = B*R, T target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = [
    "ROWS_PER_DOCUMENT",
    "Inputs",
    "draw_inputs",
    "pad_documents",
    "select_keys",
    "select_tokens",
]

Int64 = npt.NDArray[np.int64]
Array = npt.NDArray[np.generic]
ROWS_PER_DOCUMENT = 3
_SOURCE_LENGTHS = (13, 7)
_TARGET_LENGTH = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """Documents to read, and histories to continue."""

    short: list[list[int]]
    """B token-id lists of unequal length; empty ones where there is no encoder."""
    long: list[list[int]]
    """One that is long enough for sparse attention, where the encoder has it."""
    tokens: Int64
    """[T, N] the token that each row reads at step t."""
    parents: Int64
    """[T, B, R]: at step t, row r continues the history of row parents[t, b, r]."""
    histories: list[Int64]
    """T of [N, t + 1]: what each row has read once step t is done."""


def draw_inputs(pegasus: Pegasus, *, seed: int) -> Inputs:
    """Random tokens; documents end with EOS."""
    config, rng = pegasus.config, np.random.default_rng(seed)
    short = _draw(pegasus, rng, _short_lengths(pegasus))
    batch, steps = len(_SOURCE_LENGTHS), min(_TARGET_LENGTH, config.max_position_embeddings)
    tokens, parents, histories = _random_walk(rng, config.vocab_size, batch, steps)
    return Inputs(
        short=short,
        long=_draw(pegasus, rng, _long_lengths(pegasus)),
        tokens=tokens,
        parents=parents,
        histories=histories,
    )


def pad_documents(token_ids: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Int64, Int64]:
    """input_ids and attention_mask, both [B, S]."""
    longest = max(map(len, token_ids))
    input_ids = np.full((len(token_ids), longest), pad_token_id, np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, source in enumerate(token_ids):
        input_ids[row, : len(source)] = source
        attention_mask[row, : len(source)] = 1
    return input_ids, attention_mask


def select_tokens(array: Array, token_ids: Sequence[Sequence[int]]) -> Array:
    """[B, S, ...] -> [P, ...], those of tokens and not of padding, P in all documents."""
    return np.concatenate([row[: len(ids)] for row, ids in zip(array, token_ids, strict=True)])


def select_keys(array: Array, token_ids: Sequence[Sequence[int]]) -> Array:
    """[B, H, S, Dh] -> [P, H, Dh]."""
    return select_tokens(array.swapaxes(1, 2), token_ids)


def _short_lengths(pegasus: Pegasus) -> tuple[int, int]:
    """Unequal, and short enough for full attention, where padding changes nothing."""
    longest, shorter = _SOURCE_LENGTHS
    pattern = whole.sparse_pattern(pegasus, 0)
    if pattern is None:
        return longest, shorter
    return min(longest, pattern.longest_full), min(shorter, pattern.longest_full - 1)


def _long_lengths(pegasus: Pegasus) -> tuple[int, ...]:
    """A document of some more blocks than full attention takes, the last of them not full.

    Local attention has blocks at any length, and one of these is enough to tell them apart.
    """
    pattern, encoder = whole.sparse_pattern(pegasus, 0), pegasus.model.encoder
    local = pegasus.config.block_local
    blocks = local or pattern
    if blocks is None or encoder is None:
        return ()
    longest_full = 0 if pattern is None else pattern.longest_full
    length = longest_full + blocks.block_size + blocks.block_size // 2 + 1
    length = min(length, encoder.embed_positions.num_embeddings)
    return (length,) if length > longest_full else ()


def _draw(pegasus: Pegasus, rng: np.random.Generator, lengths: Sequence[int]) -> list[list[int]]:
    """Random documents of these lengths at most, each with EOS at its end."""
    config, encoder = pegasus.config, pegasus.model.encoder
    longest = 1 if encoder is None else encoder.embed_positions.num_embeddings
    return [
        [*rng.integers(0, config.vocab_size, min(length, longest) - 1).tolist(), eos]
        for length in lengths
        for eos in config.eos_token_ids[:1]
    ]


def _random_walk(
    rng: np.random.Generator, vocab_size: int, batch: int, steps: int
) -> tuple[Int64, Int64, list[Int64]]:
    """Tokens [T, N], parents [T, B, R], and the histories [N, t + 1] that they lead to."""
    rows = batch * ROWS_PER_DOCUMENT
    tokens = rng.integers(0, vocab_size, (steps, rows))
    tokens[0] = np.repeat(tokens[0, :batch], ROWS_PER_DOCUMENT)  # one start per document
    parents = rng.integers(0, ROWS_PER_DOCUMENT, (steps, batch, ROWS_PER_DOCUMENT))
    parents[:2] = 0  # after the first step a document has one row
    histories = [tokens[0][:, None]]
    for step in range(1, steps):
        kept = (parents[step] + np.arange(batch)[:, None] * ROWS_PER_DOCUMENT).reshape(-1)
        histories.append(np.concatenate([histories[-1][kept], tokens[step][:, None]], axis=1))
    return tokens, parents, histories
