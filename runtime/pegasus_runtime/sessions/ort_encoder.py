"""The encoder in ONNX Runtime: documents to what the decoder attends to.

Dimensions: B documents, S source, H heads, Dh head dim, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

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

__all__ = ["OrtEncoder", "OrtSource", "cross_names"]

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

        Raises: EngineError.
        """
        longest = max(len(source) for source in sources)
        input_ids = np.full((len(sources), longest), self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros((len(sources), longest), dtype=np.int64)
        for row, source in enumerate(sources):
            input_ids[row, : len(source)] = source
            attention_mask[row, : len(source)] = 1
        mask = share(attention_mask)
        # Ours rather than ONNX Runtime's, so that documents can be moved in them.
        shape = (len(sources), self.num_heads, longest, self.head_dim)
        outputs = {name: share(allocate(shape)) for name in self.output_names}
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("input_ids", share(input_ids).value)
        binding.bind_ortvalue_input("attention_mask", mask.value)
        for name, output in outputs.items():
            binding.bind_ortvalue_output(name, output.value)
        # The decoder needs the room, and runs far longer.
        run_graph(self.session, binding, release_memory=True)
        return {"attention_mask": mask, **outputs}
