"""The encoder in ONNX Runtime: documents to what the decoder attends to.

Dimensions: B documents, S source, H heads, Dh head dim, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.ort_graph import (
    SharedArray,
    Tables,
    allocate,
    check_graph,
    load_graph,
    run_graph,
    share,
)

__all__ = ["OrtEncoder", "OrtSource", "cross_names", "plan_chunks"]

_CHUNK_TOKENS = 512

OrtSource: TypeAlias = Mapping[str, SharedArray]
"""attention_mask [B, S] int64, cross_key.{l} and cross_value.{l} [B, H, S, Dh] float32."""


def cross_names(bundle: Bundle) -> list[str]:
    """cross_key.{l} of all decoder layers, then cross_value.{l}."""
    layers = range(bundle.manifest.architecture.decoder_layers)
    return [f"cross_{kind}.{layer}" for kind in ("key", "value") for layer in layers]


class OrtEncoder:
    """Graph `encoder` of a bundle; safe to use from several threads."""

    def __init__(
        self, bundle: Bundle, *, threads: int | None = None, tables: Tables | None = None
    ) -> None:
        """Raises: EngineError, BundleError."""
        self.tables = tables
        facts = bundle.manifest.architecture
        self.pad_token_id = bundle.manifest.token_ids.pad_token_id
        self.num_heads = facts.decoder_heads
        self.head_dim = facts.head_dim
        self.output_names = cross_names(bundle)
        self.session = load_graph(bundle, "encoder", threads, tables)
        inputs = {"input_ids", "attention_mask"}
        check_graph(bundle, "encoder", self.session, inputs, set(self.output_names))

    def encode(self, sources: Sequence[Sequence[int]]) -> OrtSource:
        """B documents, token ids with EOS and of unequal lengths, padded on the right.

        Long documents run one by one, which is faster than together: what the layers work on
        stays in the processor's cache, and nothing is padded. Raises: EngineError.
        """
        lengths = [len(source) for source in sources]
        longest = max(lengths)
        attention_mask = np.zeros((len(sources), longest), dtype=np.int64)
        for row, length in enumerate(lengths):
            attention_mask[row, :length] = 1
        # Ours rather than ONNX Runtime's, so that documents can be moved in them.
        shape = (len(sources), self.num_heads, longest, self.head_dim)
        outputs = {name: share(allocate(shape)) for name in self.output_names}
        for rows in plan_chunks(lengths):
            self._run(sources, rows, attention_mask, outputs)
        return {"attention_mask": share(attention_mask), **outputs}

    def _run(
        self,
        sources: Sequence[Sequence[int]],
        rows: range,
        attention_mask: npt.NDArray[np.int64],
        outputs: Mapping[str, SharedArray],
    ) -> None:
        """Encodes neighbours, padded to the longest of them, into their rows of the outputs."""
        longest = max(len(sources[row]) for row in rows)
        input_ids = np.full((len(rows), longest), self.pad_token_id, dtype=np.int64)
        for index, row in enumerate(rows):
            input_ids[index, : len(sources[row])] = sources[row]
        mask = np.ascontiguousarray(attention_mask[rows.start : rows.stop, :longest])
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("input_ids", share(input_ids).value)
        binding.bind_ortvalue_input("attention_mask", share(mask).value)
        places = {
            name: output.array[rows.start : rows.stop, :, :longest]
            for name, output in outputs.items()
        }
        results = {
            name: share(place if place.flags.c_contiguous else allocate(place.shape))
            for name, place in places.items()
        }
        for name, result in results.items():
            binding.bind_ortvalue_output(name, result.value)
        is_last = rows.stop == len(sources)  # then the decoder needs the room, and runs far longer
        run_graph(self.session, binding, release_memory=is_last)
        for name, place in places.items():
            if results[name].array is not place:
                place[:] = results[name].array


def plan_chunks(lengths: Sequence[int]) -> list[range]:
    """Rows that run together: neighbours, as long as all of them, padded, are 512 tokens or less.

    That many rows keep the products busy; a longer document runs alone.
    """
    chunks: list[range] = []
    longest = 0
    for row, length in enumerate(lengths):
        start = chunks[-1].start if chunks else row
        longest = max(longest, length)
        if chunks and (row + 1 - start) * longest <= _CHUNK_TOKENS:
            chunks[-1] = range(start, row + 1)
        else:
            chunks.append(range(row, row + 1))
            longest = length
    return chunks
