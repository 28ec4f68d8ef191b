"""The decoder step in ONNX Runtime, over caches that are written in place.

Dimensions: B documents, R rows per document, N = B*R, S source, T cache length, H heads,
Dh head dim, C candidates, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.ort_encoder import OrtSource, cross_names
from pegasus_runtime.sessions.ort_graph import check_graph, load_graph, run_graph, share
from pegasus_runtime.sessions.protocol import StepScores

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OrtDecoder", "OrtDecoding"]

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


class OrtDecoder:
    """Graph `decoder_step` of a bundle; safe to use from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        """Raises: EngineError, BundleError."""
        facts = bundle.manifest.architecture
        self.num_layers = facts.decoder_layers
        self.num_heads = facts.decoder_heads
        self.head_dim = facts.head_dim
        self.session = load_graph(bundle, "decoder_step", threads)
        inputs = {"input_ids", "position", "num_candidates", "cache_indirection"}
        inputs |= {f"past_{name}" for name in self.cache_names()}
        if "encoder" in bundle.manifest.graphs:
            inputs |= {"attention_mask", *cross_names(bundle)}
        outputs = {"top_scores", "top_ids", "log_probs", "log_normalizer"}
        outputs |= {f"present_{name}" for name in self.cache_names()}
        check_graph(bundle, "decoder_step", self.session, inputs, outputs)

    def cache_names(self) -> list[str]:
        """self_key.{l} of all layers, then self_value.{l}."""
        layers = range(self.num_layers)
        return [f"self_{kind}.{layer}" for kind in ("key", "value") for layer in layers]

    def start(
        self, source: OrtSource, *, batch: int, rows_per_document: int, max_length: int
    ) -> OrtDecoding:
        """A decoding over encoded documents; over none where the bundle has no encoder."""
        return OrtDecoding(
            self, source, batch=batch, rows_per_document=rows_per_document, max_length=max_length
        )


class OrtDecoding:
    """One batch being decoded: its buffers, and the binding that hands them to the graph."""

    def __init__(
        self,
        decoder: OrtDecoder,
        source: OrtSource,
        *,
        batch: int,
        rows_per_document: int,
        max_length: int,
    ) -> None:
        self.decoder = decoder
        self.source = source
        self.rows_per_document = rows_per_document
        self.length = 0
        self.position = np.zeros(1, dtype=np.int32)
        self.num_candidates = np.zeros(1, dtype=np.int64)
        self._allocate(batch, 1, max_length)

    def step(
        self,
        tokens: Int64,
        parents: Int64 | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        """See `Decoding.step`."""
        if parents is not None:
            self._follow(parents)
        self.input_ids[:, 0] = tokens
        self.position[0] = self.length
        self.num_candidates[0] = num_candidates
        self.indirection[:, :, self.length] = np.arange(self.indirection.shape[1])
        outputs = self._run(("top_scores", "top_ids"), full)
        self.length += 1
        return StepScores(
            top_scores=outputs["top_scores"],
            top_ids=outputs["top_ids"],
            log_probs=outputs.get("log_probs"),
            log_normalizer=outputs.get("log_normalizer"),
        )

    def _follow(self, parents: Int64) -> None:
        """Lets each row continue the history of its parent, without moving the cache."""
        if self.length == 1 and self.indirection.shape[1] != self.rows_per_document:
            self._spread()
            return
        past = self.indirection[:, :, : self.length]
        past[:] = np.take_along_axis(past, parents[:, :, None], axis=1)  # [B, R, t] by [B, R, 1]

    def _spread(self) -> None:
        """From one row per document to R: the first token's keys go to each document's row 0."""
        batch, _, max_length = self.indirection.shape
        first = {name: cache[:, :, 0] for name, cache in self.caches.items()}  # [B, H, Dh]
        self._allocate(batch, self.rows_per_document, max_length)
        for name, cache in self.caches.items():
            cache[:: self.rows_per_document, :, 0] = first[name]
        self.indirection[:, :, 0] = 0

    def _allocate(self, batch: int, rows_per_document: int, max_length: int) -> None:
        decoder, rows = self.decoder, batch * rows_per_document
        shape = (rows, decoder.num_heads, max_length, decoder.head_dim)
        self.input_ids = np.zeros((rows, 1), dtype=np.int64)
        self.indirection = np.zeros((batch, rows_per_document, max_length), dtype=np.int32)
        self.caches: dict[str, Float32] = {
            name: np.zeros(shape, dtype=np.float32) for name in decoder.cache_names()
        }
        self.cache_values = {name: share(cache) for name, cache in self.caches.items()}
        self.binding = self._bind_inputs()

    def _bind_inputs(self) -> onnxruntime.IOBinding:
        binding = self.decoder.session.io_binding()
        inputs = {
            "input_ids": share(self.input_ids),
            "position": share(self.position),
            "num_candidates": share(self.num_candidates),
            "cache_indirection": share(self.indirection),
            **self.source,
            **{f"past_{name}": value for name, value in self.cache_values.items()},
        }
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        return binding

    def _run(self, names: tuple[str, ...], full: bool) -> dict[str, npt.NDArray[Any]]:
        if full:
            names = (*names, "log_probs", "log_normalizer")
        self.binding.clear_binding_outputs()
        for name in names:
            self.binding.bind_output(name, "cpu")
        for name, value in self.cache_values.items():
            self.binding.bind_ortvalue_output(f"present_{name}", value)
        run_graph(self.decoder.session, self.binding)
        outputs = self.binding.get_outputs()
        # In the order of binding: the caches, which nobody reads from here, come last.
        return {name: value.numpy() for name, value in zip(names, outputs, strict=False)}
