"""The checkpoint itself behind the runtime's Protocol: fp32 tokens, without writing an fp32 bundle.

Runs the very module that is traced into `decoder_step`, eagerly, so that it needs one copy of the
source's keys per document and not one per beam.

Dimensions: B documents, R rows per document, N = B*R, S source, T cache length, H heads,
Dh head dim.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_export.graphs import whole
from pegasus_export.graphs.ort import DecoderStepGraph
from pegasus_export.models.pegasus import Pegasus
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores

__all__ = ["TorchEngine"]

Int64 = npt.NDArray[np.int64]


class TorchEngine:
    """An Engine over the torch modules of a PegasusForConditionalGeneration."""

    def __init__(self, pegasus: Pegasus) -> None:
        self.pegasus = pegasus

    @torch.no_grad()
    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "TorchDecoding":
        """See `Engine.start`."""
        longest = max(len(source) for source in sources)
        input_ids = torch.zeros(len(sources), longest, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for row, source in enumerate(sources):
            input_ids[row, : len(source)] = torch.tensor(source)
            attention_mask[row, : len(source)] = 1
        encoded = whole.encode(self.pegasus, input_ids, attention_mask)
        cross = whole.cross_keys(self.pegasus, encoded, attention_mask)
        return TorchDecoding(self.pegasus, cross, batch=len(sources), max_length=max_length)


class TorchDecoding:
    """One batch being decoded, one cache row per beam."""

    def __init__(
        self, pegasus: Pegasus, cross: whole.CrossKeys, *, batch: int, max_length: int
    ) -> None:
        config = pegasus.config
        heads = config.decoder_attention_heads
        shape = (batch, heads, max_length, config.d_model // heads)
        self.graph = DecoderStepGraph(pegasus)
        self.cross = cross
        self.batch = batch
        self.length = 0
        self.caches = [[torch.zeros(shape) for _ in cross.keys] for _ in ("keys", "values")]

    @torch.no_grad()
    def step(
        self, tokens: Int64, parents: Int64 | None, *, num_candidates: int, full: bool
    ) -> StepScores:
        """See `Decoding.step`."""
        if parents is not None:
            rows_before = self.caches[0][0].shape[0] // self.batch
            rows = parents + np.arange(self.batch)[:, None] * rows_before
            self._take(rows.reshape(-1))
        rows_per_document = len(tokens) // self.batch
        own = torch.arange(rows_per_document, dtype=torch.int32)[None, :, None]
        cache_length = self.caches[0][0].shape[2]
        outputs = self.graph(
            torch.from_numpy(np.asarray(tokens, dtype=np.int64))[:, None],
            torch.tensor([self.length], dtype=torch.int32),
            torch.tensor([num_candidates]),
            own.expand(self.batch, rows_per_document, cache_length),
            *self.caches,
            self.cross.attention_mask,
            list(self.cross.keys),
            list(self.cross.values),
        )
        top_scores, top_ids, log_probs, log_normalizer, *caches = outputs
        self.caches = caches
        self.length += 1
        return StepScores(
            top_scores=top_scores.numpy(),
            top_ids=top_ids.numpy(),
            log_probs=log_probs.numpy() if full else None,
            log_normalizer=log_normalizer.numpy() if full else None,
        )

    def keep(self, documents: Int64) -> None:
        """See `Decoding.keep`."""
        kept = torch.from_numpy(np.asarray(documents, dtype=np.int64))
        rows_per_document = self.caches[0][0].shape[0] // self.batch
        rows = np.asarray(documents)[:, None] * rows_per_document + np.arange(rows_per_document)
        self._take(rows.reshape(-1))
        self.batch = len(documents)
        self.cross = whole.CrossKeys(
            keys=[key[kept] for key in self.cross.keys],
            values=[value[kept] for value in self.cross.values],
            attention_mask=self.cross.attention_mask[kept],
        )

    def _take(self, rows: Int64) -> None:
        index: Tensor = torch.from_numpy(rows)
        self.caches = [[cache[index] for cache in kind] for kind in self.caches]
