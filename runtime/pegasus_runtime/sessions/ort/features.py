"""Graph `model` of feature extraction in ONNX Runtime: documents to last hidden states.

Dimensions: B documents, S source, T target, D model dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.ort.encoder import longest_together, pad_sources, plan_chunks
from pegasus_runtime.sessions.ort.graph import (
    check_graph,
    describe_runtime,
    load_graph,
    run_arrays,
)

__all__ = ["HiddenStates", "OrtFeatures"]

HiddenStates: TypeAlias = "tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]"
"""Of one document: [T, D] of the decoder, [S, D] of the encoder."""
_INPUTS = ("input_ids", "attention_mask", "decoder_input_ids")
_OUTPUTS = ("last_hidden_state", "encoder_last_hidden_state")


class OrtFeatures:
    """A loaded feature extractor; safe to use from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        """Raises: EngineError, BundleError, OptionsError for impossible threads."""
        self.pad_token_id = bundle.manifest.token_ids.pad_token_id
        self.longest_together = longest_together(bundle.manifest.architecture)
        self.description = describe_runtime()
        self.session = load_graph(bundle, "model", threads)
        check_graph(bundle, "model", self.session, set(_INPUTS), set(_OUTPUTS))

    def run(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        interrupt: Interrupt | None = None,
    ) -> Iterator[HiddenStates]:
        """One after the other, in order; neighbours that are short run together.

        sources: token ids with EOS. targets: what the decoder reads of each. Where documents run
        together, shorter ones are padded, which nothing of theirs sees. Raises: EngineError, and
        what interrupts it.
        """
        lengths = [max(map(len, pair)) for pair in zip(sources, targets, strict=True)]
        for rows in plan_chunks(lengths, self.longest_together):
            own = [(sources[row], targets[row]) for row in rows]
            input_ids, mask = self._pad([source for source, _ in own])
            decoder_input_ids, _ = self._pad([target for _, target in own])
            feeds = dict(zip(_INPUTS, (input_ids, mask, decoder_input_ids), strict=True))
            decoded, encoded = run_arrays(self.session, list(_OUTPUTS), feeds, interrupt=interrupt)
            for row, (source, target) in enumerate(own):
                yield decoded[row, : len(target)].copy(), encoded[row, : len(source)].copy()

    def _pad(
        self, rows: Sequence[Sequence[int]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return pad_sources(rows, self.pad_token_id, max(map(len, rows)))
