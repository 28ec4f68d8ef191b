"""Graph `model` in ONNX Runtime: whole documents to what a head makes of them.

Dimensions: B documents, S source.
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

__all__ = ["HeadOutputs", "OrtModel"]

HeadOutputs: TypeAlias = "tuple[npt.NDArray[np.float32], ...]"
"""Of one document: [labels] of a classifier; two of [S] of question answering."""


class OrtModel:
    """A loaded classifier or question answerer; safe to use from several threads."""

    def __init__(
        self, bundle: Bundle, outputs: Sequence[str], *, threads: int | None = None
    ) -> None:
        """outputs: names of what the graph is to give. Raises: EngineError, BundleError."""
        self.pad_token_id = bundle.manifest.token_ids.pad_token_id
        self.longest_together = longest_together(bundle.manifest.architecture)
        self.outputs = list(outputs)
        self.description = describe_runtime()
        self.session = load_graph(bundle, "model", threads)
        check_graph(bundle, "model", self.session, {"input_ids", "attention_mask"}, set(outputs))
        shapes = {value.name: value.shape for value in self.session.get_outputs()}
        self.over_tokens = [not isinstance(shapes[name][-1], int) for name in outputs]

    def run(
        self, sources: Sequence[Sequence[int]], *, interrupt: Interrupt | None = None
    ) -> Iterator[HeadOutputs]:
        """One after the other, in order; neighbours that are short run together.

        sources: token ids with EOS. Outputs over tokens are cut to each document's own.
        Raises: EngineError, and what interrupts it.
        """
        lengths = [len(source) for source in sources]
        for rows in plan_chunks(lengths, self.longest_together):
            chunk = [sources[row] for row in rows]
            longest = max(len(source) for source in chunk)
            input_ids, attention_mask = pad_sources(chunk, self.pad_token_id, longest)
            feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
            found = run_arrays(self.session, self.outputs, feeds, interrupt=interrupt)
            for index, source in enumerate(chunk):
                yield tuple(
                    each[index, : len(source)] if over_tokens else each[index]
                    for each, over_tokens in zip(found, self.over_tokens, strict=True)
                )
