"""What the torch modules say of a small random batch: the expectation that bundles are held to.

Computed eagerly from whole sequences in the standard dialect, with no cache and no beams, so that
it shares nothing with the graphs but the weights.

Dimensions: B documents, R rows per document, N = B*R, S source, T target, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["Reference", "make_reference"]

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
_ROWS_PER_DOCUMENT = 3
_SOURCE_LENGTHS = (13, 7)
_TARGET_LENGTH = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Inputs, and what the checkpoint makes of them."""

    sources: list[list[int]]
    """B token-id lists of unequal length."""
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
    encoded: Float32
    """[B, S, D] last hidden state of the encoder; empty where there is none."""
    cross_keys: list[Float32]
    """2 L of [B, H, S, Dh]: keys of all decoder layers, then values."""
    last_hidden: Float32
    """[N, T, D] of the decoder over `histories`."""

    def padded(self, pad_token_id: int) -> tuple[Int64, Int64]:
        """The sources as input_ids and attention_mask, both [B, S]."""
        longest = max(map(len, self.sources))
        rows = [[*ids, *[pad_token_id] * (longest - len(ids))] for ids in self.sources]
        mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in self.sources]
        return np.array(rows), np.array(mask)


@torch.no_grad()
def make_reference(pegasus: Pegasus, *, seed: int = 0) -> Reference:
    """Runs the torch modules on random tokens; a decoder-only checkpoint gets no sources."""
    config, rng = pegasus.config, np.random.default_rng(seed)
    encoder = pegasus.model.encoder
    longest = 1 if encoder is None else encoder.embed_positions.num_embeddings
    lengths = [min(length, longest) for length in _SOURCE_LENGTHS]
    sources: list[list[int]] = [
        rng.integers(0, config.vocab_size, length).tolist() for length in lengths
    ]
    batch, steps = len(sources), min(_TARGET_LENGTH, config.max_position_embeddings)
    tokens, parents, histories = _random_walk(rng, config.vocab_size, batch, steps)
    encoded, cross = (None, None) if encoder is None else _encode(pegasus, sources)
    logits = []
    hidden = torch.empty(0)
    for history in histories:
        hidden, _ = whole.decode(pegasus, torch.from_numpy(history), _spread(cross))
        logits.append(pegasus.logits(hidden[:, -1]).numpy())
    return Reference(
        sources=sources,
        histories=histories[-1],
        parents=parents,
        step_tokens=tokens,
        step_logits=logits,
        logits=whole.batched(pegasus.logits(hidden.flatten(0, 1)), hidden).numpy(),
        encoded=np.empty(0, np.float32) if encoded is None else encoded.numpy(),
        cross_keys=[] if cross is None else [x.numpy() for x in (*cross.keys, *cross.values)],
        last_hidden=hidden.numpy(),
    )


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


def _encode(pegasus: Pegasus, sources: list[list[int]]) -> tuple[torch.Tensor, whole.CrossKeys]:
    longest = max(map(len, sources))
    input_ids = torch.zeros(len(sources), longest, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, source in enumerate(sources):
        input_ids[row, : len(source)] = torch.tensor(source)
        attention_mask[row, : len(source)] = 1
    encoded = whole.encode(pegasus, input_ids, attention_mask)
    return encoded, whole.cross_keys(pegasus, encoded, attention_mask)


def _spread(cross: whole.CrossKeys | None) -> whole.CrossKeys | None:
    """Every document's keys once per row: [B, ...] -> [N, ...]."""
    if cross is None:
        return None
    return whole.CrossKeys(
        keys=[x.repeat_interleave(_ROWS_PER_DOCUMENT, 0) for x in cross.keys],
        values=[x.repeat_interleave(_ROWS_PER_DOCUMENT, 0) for x in cross.values],
        attention_mask=cross.attention_mask.repeat_interleave(_ROWS_PER_DOCUMENT, 0),
    )
