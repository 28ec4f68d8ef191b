"""Prompts in ONNX Runtime: what all but the last of their tokens leave in the decoder's cache.

Dimensions: B documents, P tokens read, H heads, Dh head dim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.ort.encoder import plan_chunks
from pegasus_runtime.sessions.ort.graph import (
    Tables,
    check_graph,
    load_graph,
    run_arrays,
)

__all__ = ["OrtPrefill"]

_RUN_TOKENS = 512  # so scores of attention are as many times all tokens, and not all squared

Float32 = npt.NDArray[np.float32]


class OrtPrefill:
    """Graph `prefill` of a bundle; safe to use from several threads."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        tables: Tables | None = None,
        run_tokens: int = _RUN_TOKENS,
    ) -> None:
        """run_tokens: of a document that are read in one run. Raises: EngineError, BundleError."""
        self.tables = tables
        self.run_tokens = run_tokens
        facts = bundle.manifest.architecture
        layers = range(facts.decoder_layers)
        self.names = [f"self_{kind}.{layer}" for kind in ("key", "value") for layer in layers]
        self.empty = (facts.decoder_heads, 0, facts.head_dim)
        # A prompt is read once: no second copy of the weights is worth it.
        self.session = load_graph(bundle, "prefill", threads, tables, pack_weights=False)
        inputs = {"input_ids", *(f"past_{name}" for name in self.names)}
        self.outputs = [*(f"present_{name}" for name in self.names), "last_hidden_state"]
        check_graph(bundle, "prefill", self.session, inputs, set(self.outputs))

    def read(
        self, prompts: Sequence[Sequence[int]], *, interrupt: Interrupt | None = None
    ) -> Mapping[str, Float32]:
        """Keys and values [B, H, P, Dh], by name. prompts: B of P tokens, at least one each.

        Raises: EngineError, and what interrupts it.
        """
        tokens = np.array(prompts, np.int64)
        parts = [
            self._read(tokens[rows.start : rows.stop], interrupt)
            for rows in plan_chunks([tokens.shape[1]] * len(tokens))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.names}

    def run(
        self,
        tokens: npt.NDArray[np.int64],
        past: Mapping[str, Float32],
        *,
        interrupt: Interrupt | None = None,
    ) -> tuple[dict[str, Float32], Float32]:
        """Tokens [B, N] behind a past: keys and values of both, and last hidden states [B, N, D].

        Raises: EngineError.
        """
        feeds: dict[str, npt.NDArray[Any]] = {f"past_{name}": past[name] for name in self.names}
        feeds["input_ids"] = tokens
        *present, hidden = run_arrays(self.session, self.outputs, feeds, interrupt=interrupt)
        return dict(zip(self.names, present, strict=True)), hidden

    def _read(
        self, tokens: npt.NDArray[np.int64], interrupt: Interrupt | None
    ) -> Mapping[str, Float32]:
        """Of documents that run together."""
        found = {name: np.zeros((len(tokens), *self.empty), np.float32) for name in self.names}
        for start in range(0, tokens.shape[1], self.run_tokens):
            part = tokens[:, start : start + self.run_tokens]
            found, _ = self.run(part, found, interrupt=interrupt)
        return found
