"""The encoder in ONNX Runtime: documents to what the decoder attends to.

Dimensions: B documents, S source, H heads, Dh head dim, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Architecture, Bundle, let_go
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.ort.graph import (
    SharedArray,
    Tables,
    allocate,
    check_graph,
    load_graph,
    run_graph,
    share,
)
from pegasus_runtime.sessions.ort.halves import SOURCE, head_words

__all__ = [
    "OrtEncoder",
    "OrtSource",
    "longest_together",
    "pad_sources",
    "plan_chunks",
]

_CHUNK_TOKENS = 512

OrtSource: TypeAlias = Mapping[str, SharedArray]
"""attention_mask [B, S] int64, cross_key.{l} and cross_value.{l} [B, H, S, Dh] float32, or
words of halves: see `halves.py`."""


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
        self.facts = facts
        self.max_tokens = bundle.manifest.limits.max_source_tokens
        self.longest_together = longest_together(facts)
        self.output_names = facts.cross_names
        self.session = load_graph(bundle, "encoder", threads, tables)
        inputs = {"input_ids", "attention_mask"}
        check_graph(bundle, "encoder", self.session, inputs, set(self.output_names))
        first = self.output_names[0]
        self.head_words = head_words(self.session, first, self.head_dim, SOURCE)

    def encode(
        self,
        sources: Sequence[Sequence[int]],
        *,
        whole_blocks: bool = True,
        interrupt: Interrupt | None = None,
    ) -> OrtSource:
        """B documents, token ids with EOS and of unequal lengths, padded on the right.

        Long documents run one by one, which is faster than together: what the layers work on
        stays in the processor's cache, and nothing is padded. In sparse attention, where padding
        has an effect, a document's result is thus its own.

        whole_blocks: pads sparse documents to whole blocks, which spares the graph to do so in
        every layer. Raises: EngineError, and what interrupts it.
        """
        lengths = [len(source) for source in sources]
        widths = [self._in_blocks(length) for length in lengths] if whole_blocks else lengths
        longest = max(widths)
        _, attention_mask = pad_sources(sources, self.pad_token_id, longest)
        # Ours rather than ONNX Runtime's, so that documents can be moved in them.
        shape = (len(sources), self.num_heads, longest, self.head_words)
        outputs = {name: share(allocate(shape)) for name in self.output_names}
        for rows in plan_chunks(lengths, self.longest_together):
            width = max(widths[row] for row in rows)
            self._run(sources, rows, width, outputs, interrupt)
        for table in (self.tables or {}).values():  # the decoder looks up few rows
            let_go(table.array)
        return {"attention_mask": share(attention_mask), **outputs}

    def _run(
        self,
        sources: Sequence[Sequence[int]],
        rows: range,
        width: int,
        outputs: Mapping[str, SharedArray],
        interrupt: Interrupt | None,
    ) -> None:
        """Encodes neighbours, padded to a width in tokens, into their rows of the outputs."""
        chunk = [sources[row] for row in rows]
        input_ids, mask = pad_sources(chunk, self.pad_token_id, width)
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("input_ids", share(input_ids).value)
        binding.bind_ortvalue_input("attention_mask", share(mask).value)
        places = {
            name: output.array[rows.start : rows.stop, :, :width]
            for name, output in outputs.items()
        }
        results = {
            name: share(place if place.flags.c_contiguous else allocate(place.shape))
            for name, place in places.items()
        }
        for name, result in results.items():
            binding.bind_ortvalue_output(name, result.value)
        is_last = rows.stop == len(sources)  # then the decoder needs the room, and runs far longer
        run_graph(self.session, binding, release_memory=is_last, interrupt=interrupt)
        for name, place in places.items():
            if results[name].array is not place:
                place[:] = results[name].array
            outputs[name].array[rows.start : rows.stop, :, width:] = 0  # not NaN, though masked

    def _in_blocks(self, length: int) -> int:
        """In whole blocks where attention is sparse, if there are positions for them."""
        threshold = self.facts.longest_full
        if threshold is None or length <= threshold:
            return length
        assert self.facts.block_size is not None
        whole_blocks = length + -length % self.facts.block_size
        return whole_blocks if whole_blocks <= self.max_tokens else length


def pad_sources(
    sources: Sequence[Sequence[int]], pad_token_id: int, longest: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Documents of unequal lengths -> input_ids and attention_mask [B, longest], padded right."""
    input_ids = np.full((len(sources), longest), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(sources), longest), dtype=np.int64)
    for row, source in enumerate(sources):
        input_ids[row, : len(source)] = source
        attention_mask[row, : len(source)] = 1
    return input_ids, attention_mask


def longest_together(facts: Architecture) -> int:
    """Tokens up to which padding changes nothing, so that documents may run together."""
    threshold = facts.longest_full
    return _CHUNK_TOKENS if threshold is None else min(_CHUNK_TOKENS, threshold)


def plan_chunks(lengths: Sequence[int], longest_together: int = _CHUNK_TOKENS) -> list[range]:
    """Rows that run together: neighbours, as long as all of them, padded, are 512 tokens or less.

    That many rows keep the products busy; a longer document runs alone, as does one that is over
    `longest_together` tokens.
    """
    chunks: list[range] = []
    longest = 0
    for row, length in enumerate(lengths):
        start = chunks[-1].start if chunks else row
        longest = max(longest, length)
        fits = (row + 1 - start) * longest <= _CHUNK_TOKENS and longest <= longest_together
        if chunks and fits:
            chunks[-1] = range(start, row + 1)
        else:
            chunks.append(range(row, row + 1))
            longest = length
    return chunks
