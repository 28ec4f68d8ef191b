"""The decoder step in ONNX Runtime, over caches that are written in place.

Dimensions: B documents, R rows per document, N = B*R, C candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.sessions.ort.cache import TargetCache, keep_documents
from pegasus_runtime.sessions.ort.encoder import OrtSource
from pegasus_runtime.sessions.ort.graph import (
    SharedArray,
    Tables,
    allocate,
    check_graph,
    load_graph,
    run_graph,
    share,
)
from pegasus_runtime.sessions.ort.halves import TARGET, as_words, head_words

__all__ = ["OrtDecoder", "OrtDecoding"]

Int64 = npt.NDArray[np.int64]


class OrtDecoder:
    """Graph `decoder_step` of a bundle; safe to use from several threads."""

    def __init__(
        self, bundle: Bundle, *, threads: int | None = None, tables: Tables | None = None
    ) -> None:
        """Raises: EngineError, BundleError."""
        self.tables = tables
        facts = bundle.manifest.architecture
        self.num_layers = facts.decoder_layers
        self.num_heads = facts.decoder_heads
        self.head_dim = facts.head_dim
        self.vocab_size = facts.vocab_size
        self.session = load_graph(bundle, "decoder_step", threads, tables)
        inputs = {"input_ids", "position", "num_candidates", "cache_indirection"}
        inputs |= {f"past_{name}" for name in self.cache_names()}
        if "encoder" in bundle.manifest.graphs:
            inputs |= {"attention_mask", *bundle.manifest.architecture.cross_names}
        outputs = {"top_scores", "top_ids", "log_probs", "log_normalizer"}
        outputs |= {f"present_{name}" for name in self.cache_names()}
        check_graph(bundle, "decoder_step", self.session, inputs, outputs)
        first = "present_self_key.0"
        self.head_words = head_words(self.session, first, self.head_dim, TARGET)

    def cache_names(self) -> list[str]:
        """self_key.{l} of all layers, then self_value.{l}."""
        layers = range(self.num_layers)
        return [f"self_{kind}.{layer}" for kind in ("key", "value") for layer in layers]

    def start(
        self,
        source: OrtSource,
        *,
        batch: int,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> OrtDecoding:
        """A decoding over encoded documents; over none where the bundle has no encoder.

        The arrays of `source` become the decoding's, which moves documents in them.
        """
        return OrtDecoding(
            self,
            source,
            batch=batch,
            rows_per_document=rows_per_document,
            max_length=max_length,
            interrupt=interrupt,
        )


class OrtDecoding:
    """One batch being decoded: its arrays, and the binding that hands them to the graph.

    An array is bound when it is made, not when the graph runs: from step to step only the scores
    are new ones.
    """

    def __init__(
        self,
        decoder: OrtDecoder,
        source: OrtSource,
        *,
        batch: int,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> None:
        self.decoder = decoder
        self.interrupt = interrupt
        self.rows_per_document = rows_per_document
        self.source = dict(source)
        self.cache = TargetCache(
            decoder.cache_names(),
            batch=batch,
            num_heads=decoder.num_heads,
            head_words=decoder.head_words,
            max_length=max_length,
        )
        self.position = np.zeros(1, dtype=np.int32)
        self.num_candidates = np.zeros(1, dtype=np.int64)
        self.full = False
        self.binding = decoder.session.io_binding()
        self._bind_input("position", share(self.position))
        self._bind_input("num_candidates", share(self.num_candidates))
        self._bind_source()
        self._bind_rows()

    def fill(self, keys: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """See `TargetCache.fill`; keys and values in floats."""
        words = self.decoder.head_words
        self.cache.fill({name: as_words(array, words) for name, array in keys.items()})
        self._bind_rows()

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
        if self.cache.length == self.cache.capacity:
            self.cache.grow()
            self._bind_rows()
        scores = self._bind_scores(num_candidates, full)
        self.input_ids[:, 0] = tokens
        self.position[0] = self.cache.length
        self.num_candidates[0] = num_candidates
        run_graph(self.decoder.session, self.binding, interrupt=self.interrupt)
        self.cache.length += 1
        return scores

    def keep(self, documents: Int64) -> None:
        """See `Decoding.keep`."""
        for name, shared in self.source.items():
            self.source[name] = share(keep_documents(shared.array, documents))
        self.cache.keep(documents)
        self._bind_source()
        self._bind_rows()

    def _follow(self, parents: Int64) -> None:
        if self.cache.rows_per_document == self.rows_per_document:
            self.cache.follow(parents)
        else:  # the second step
            self.cache.spread(self.rows_per_document)
            self._bind_rows()

    def _bind_input(self, name: str, shared: SharedArray) -> None:
        self.binding.bind_ortvalue_input(name, shared.value)

    def _bind_source(self) -> None:
        for name, shared in self.source.items():
            self._bind_input(name, shared)

    def _bind_rows(self) -> None:
        """Binds what has an axis of rows or of target positions, but for the scores."""
        batch, rows_per_document, _ = self.cache.indirection.shape
        self.input_ids = np.zeros((batch * rows_per_document, 1), dtype=np.int64)
        self._bind_input("input_ids", share(self.input_ids))
        self._bind_input("cache_indirection", share(self.cache.indirection))
        self._bind_caches()

    def _bind_caches(self) -> None:
        """Binds each cache as input and output, and no other output."""
        self.binding.clear_binding_outputs()
        for name, array in self.cache.arrays.items():
            shared = share(array)
            self._bind_input(f"past_{name}", shared)
            self.binding.bind_ortvalue_output(f"present_{name}", shared.value)

    def _bind_scores(self, num_candidates: int, full: bool) -> StepScores:
        """Binds new arrays for the graph to fill, which the caller may keep."""
        if self.full and not full:
            self._bind_caches()  # unbinds what nobody asks for any more
        self.full = full
        rows, vocab_size = len(self.input_ids), self.decoder.vocab_size
        scores = StepScores(
            top_scores=np.empty((rows, num_candidates), dtype=np.float32),
            top_ids=np.empty((rows, num_candidates), dtype=np.int64),
            log_probs=allocate((rows, vocab_size)) if full else None,
            log_normalizer=np.empty((rows, 1), dtype=np.float32) if full else None,
        )
        outputs: dict[str, npt.NDArray[Any] | None] = {
            "top_scores": scores.top_scores,
            "top_ids": scores.top_ids,
            "log_probs": scores.log_probs,
            "log_normalizer": scores.log_normalizer,
        }
        for name, array in outputs.items():
            if array is not None:
                self.binding.bind_ortvalue_output(name, share(array).value)
        return scores
