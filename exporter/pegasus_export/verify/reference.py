"""What the torch modules say of a small random batch: the expectation that bundles are held to.

Computed eagerly from whole sequences in the standard dialect, with no cache and no beams, so that
it shares nothing with the graphs but the weights.

Dimensions: B documents, R rows per document, N = B*R, S source, T target, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pegasus_export.graphs import heads, whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["Reference", "Sources", "make_reference"]

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
_ROWS_PER_DOCUMENT = 3
_SOURCE_LENGTHS = (13, 7)
_TARGET_LENGTH = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """Documents, and what the encoder and the heads that read documents make of them."""

    token_ids: list[list[int]]
    """B token-id lists, of unequal length where there are several."""
    encoded: Float32
    """[B, S, D] last hidden state of the encoder; empty where there is none."""
    cross_keys: list[Float32]
    """2 L of [B, H, S, Dh]: keys of all decoder layers, then values."""
    head_outputs: list[Float32]
    """[B, labels] of a classifier; two of [B, S] of question answering."""

    def padded(self, pad_token_id: int) -> tuple[Int64, Int64]:
        """The documents as input_ids and attention_mask, both [B, S]."""
        longest = max(map(len, self.token_ids))
        rows = [[*ids, *[pad_token_id] * (longest - len(ids))] for ids in self.token_ids]
        mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in self.token_ids]
        return np.array(rows), np.array(mask)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Inputs, and what the checkpoint makes of them."""

    short: Sources
    """Documents of unequal length; without tokens where there is no encoder."""
    long: Sources | None
    """One that is long enough for sparse attention, where the encoder has it."""
    histories: Int64
    """[N, T] decoder inputs: what each row has read once all steps are done."""
    parents: Int64
    """[T, B, R]: at step t, row r continues the history of row parents[t, b, r]."""
    step_tokens: Int64
    """[T, N] the token that each row reads at step t."""
    step_logits: list[Float32]
    """T of [N, V]: after step t, for the histories as they are then."""
    logits: Float32
    """[N, T, V] over `histories`."""
    last_hidden: Float32
    """[N, T, D] of the decoder over `histories`."""


@torch.no_grad()
def make_reference(pegasus: Pegasus, *, seed: int = 0) -> Reference:
    """Runs the torch modules on random tokens; a decoder-only checkpoint gets no sources."""
    config, rng = pegasus.config, np.random.default_rng(seed)
    short, cross = _read(pegasus, rng, _short_lengths(pegasus))
    batch, steps = len(_SOURCE_LENGTHS), min(_TARGET_LENGTH, config.max_position_embeddings)
    tokens, parents, histories = _random_walk(rng, config.vocab_size, batch, steps)
    logits = []
    hidden = torch.empty(0)
    for history in histories:
        hidden, _ = whole.decode(pegasus, torch.from_numpy(history), _spread(cross))
        logits.append(pegasus.logits(hidden[:, -1]).numpy())
    return Reference(
        short=short,
        long=_read_long(pegasus, rng),
        histories=histories[-1],
        parents=parents,
        step_tokens=tokens,
        step_logits=logits,
        logits=whole.batched(pegasus.logits(hidden.flatten(0, 1)), hidden).numpy(),
        last_hidden=hidden.numpy(),
    )


def _short_lengths(pegasus: Pegasus) -> tuple[int, int]:
    """Unequal, and short enough for full attention, where padding changes nothing."""
    longest, shorter = _SOURCE_LENGTHS
    pattern = whole.sparse_pattern(pegasus, 0)
    if pattern is None:
        return longest, shorter
    return min(longest, pattern.longest_full), min(shorter, pattern.longest_full - 1)


def _read_long(pegasus: Pegasus, rng: np.random.Generator) -> Sources | None:
    """A document of some more blocks than full attention takes, the last of them not full."""
    pattern, encoder = whole.sparse_pattern(pegasus, 0), pegasus.model.encoder
    if pattern is None or encoder is None:
        return None
    length = pattern.longest_full + pattern.block_size + pattern.block_size // 2 + 1
    length = min(length, encoder.embed_positions.num_embeddings)
    return _read(pegasus, rng, [length])[0] if length > pattern.longest_full else None


def _read(
    pegasus: Pegasus, rng: np.random.Generator, lengths: Sequence[int]
) -> tuple[Sources, whole.CrossKeys | None]:
    """Random documents of these lengths at most, each with EOS at its end."""
    config, encoder = pegasus.config, pegasus.model.encoder
    longest = 1 if encoder is None else encoder.embed_positions.num_embeddings
    token_ids: list[list[int]] = [
        [*rng.integers(0, config.vocab_size, min(length, longest) - 1).tolist(), eos]
        for length in lengths
        for eos in config.eos_token_ids[:1]
    ]
    if encoder is None:
        nothing = np.empty(0, np.float32)
        return Sources(token_ids=token_ids, encoded=nothing, cross_keys=[], head_outputs=[]), None
    input_ids, attention_mask = _padded(token_ids)
    encoded = whole.encode(pegasus, input_ids, attention_mask)
    cross = whole.cross_keys(pegasus, encoded, attention_mask)
    sources = Sources(
        token_ids=token_ids,
        encoded=encoded.numpy(),
        cross_keys=[x.numpy() for x in (*cross.keys, *cross.values)],
        head_outputs=[x.numpy() for x in heads.run_head(pegasus, input_ids, attention_mask)],
    )
    return sources, cross


def _padded(token_ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """input_ids and attention_mask [B, S]."""
    longest = max(map(len, token_ids))
    input_ids = torch.zeros(len(token_ids), longest, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, source in enumerate(token_ids):
        input_ids[row, : len(source)] = torch.tensor(source)
        attention_mask[row, : len(source)] = 1
    return input_ids, attention_mask


def _random_walk(
    rng: np.random.Generator, vocab_size: int, batch: int, steps: int
) -> tuple[Int64, Int64, list[Int64]]:
    """Tokens [T, N], parents [T, B, R], and the histories [N, t + 1] that they lead to."""
    rows = batch * _ROWS_PER_DOCUMENT
    tokens = rng.integers(0, vocab_size, (steps, rows))
    tokens[0] = np.repeat(tokens[0, :batch], _ROWS_PER_DOCUMENT)  # one start per document
    parents = rng.integers(0, _ROWS_PER_DOCUMENT, (steps, batch, _ROWS_PER_DOCUMENT))
    parents[:2] = 0  # after the first step a document has one row
    histories = [tokens[0][:, None]]
    for step in range(1, steps):
        kept = (parents[step] + np.arange(batch)[:, None] * _ROWS_PER_DOCUMENT).reshape(-1)
        histories.append(np.concatenate([histories[-1][kept], tokens[step][:, None]], axis=1))
    return tokens, parents, histories


def _spread(cross: whole.CrossKeys | None) -> whole.CrossKeys | None:
    """Every document's keys once per row: [B, ...] -> [N, ...]."""
    if cross is None:
        return None
    return whole.CrossKeys(
        keys=[x.repeat_interleave(_ROWS_PER_DOCUMENT, 0) for x in cross.keys],
        values=[x.repeat_interleave(_ROWS_PER_DOCUMENT, 0) for x in cross.values],
        attention_mask=cross.attention_mask.repeat_interleave(_ROWS_PER_DOCUMENT, 0),
    )
