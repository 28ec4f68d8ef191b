"""One batch being decoded on a device.

A step uploads tokens, position and indirection as one piece, runs the graph, writes the keys of its
tokens behind those before them, and downloads the candidates as one piece.

Dimensions: B documents being decoded, R rows of each, K beams that the graph computes (R or more).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.candidates import order_selected, select_top
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.sessions.device.protocol import NoMemoryError
from pegasus_runtime.sessions.device.workspace import Cache, Workspace

__all__ = ["DeviceDecoding"]

Int64 = npt.NDArray[np.int64]


class DeviceDecoding:
    """See `Decoding`; the workspace holds the encoded documents."""

    def __init__(
        self,
        workspace: Workspace,
        turn: threading.Lock,
        *,
        batch: int,
        rows_per_document: int,
        vocab_size: int,
        make_room: Callable[[], bool],
        interrupt: Interrupt | None = None,
    ) -> None:
        """make_room: gives memory of the device back, if there is any that is kept for later."""
        self.workspace = workspace
        self.cache = workspace.cache_for(0)
        self.make_room = make_room
        self.interrupt = interrupt
        self.is_spoilt = False
        """Whether a row was not finite, if only one that nobody looks at."""
        self.turn = turn
        self.rows_per_document = rows_per_document
        self.vocab_size = vocab_size
        self.places = np.arange(batch)
        """[B] which documents of the workspace's are still being decoded."""
        self.length = 0
        """Tokens so far."""
        self.cache.inputs.arrays["cache_indirection"][...] = -1

    def step(
        self, tokens: Int64, parents: Int64 | None, *, num_candidates: int, full: bool
    ) -> StepScores:
        """See `Decoding.step`."""
        rows = 1 if parents is None else self.rows_per_document
        if parents is not None:
            self._follow(parents)
        if self.length == self.cache.length:
            self._grow()
        inputs = self.cache.inputs.arrays
        tokens = tokens.reshape(-1, rows)  # [B, R]
        inputs["input_ids"][self.places] = tokens[:, :1]  # also of beams that nobody asked for
        inputs["input_ids"][self.places, :rows] = tokens
        inputs["position"][0] = self.length
        with self.turn:
            self.workspace.is_spoilt = True  # if it does not end
            self.cache.inputs.upload()
            self.cache.prepared.run(self.interrupt)
            self.workspace.append_keys(self.cache, self.length)
            scores = self._download(rows, num_candidates, full)
        inputs["cache_indirection"][:, :, self.length] = np.arange(self.workspace.sizes.beams)
        self.length += 1
        return scores

    def keep(self, documents: Int64) -> None:
        """See `Decoding.keep`; the others stay where they are, and are not looked at any more."""
        self.places = self.places[documents]

    def _grow(self) -> None:
        """Goes on in a longer cache. Raises: EngineError."""
        with self.turn:
            longer = self._longer_cache()
            longer.take_over(self.cache, self.length)
        self.cache = longer

    def _longer_cache(self) -> Cache:
        try:
            return self.workspace.cache_for(self.length)
        except NoMemoryError:
            if not self.make_room():
                raise
        # Outside of `except`, which holds on to what the first try had got.
        return self.workspace.cache_for(self.length)

    def _follow(self, parents: Int64) -> None:
        """Lets each beam continue the history of its parent; nothing on the device moves."""
        past = self.cache.inputs.arrays["cache_indirection"][:, :, : self.length]
        followed = past[self.places[:, None], parents]  # [B, R, t]
        past[self.places, : self.rows_per_document] = followed

    def _download(self, rows: int, num_candidates: int, full: bool) -> StepScores:
        """The scores of a step.

        TensorRT says nothing of the order in which it selects equal scores, nor of NaN: what is
        selected is put in order here, and the normalizer tells where a score is not finite.
        """
        beams = self.workspace.sizes.beams
        chosen = (self.places[:, None] * beams + np.arange(rows)).reshape(-1)  # [B*R] of [B*K]
        selected = self.workspace.candidates.download()
        self.is_spoilt |= not bool(np.isfinite(selected["log_normalizer"]).all())
        self.workspace.is_spoilt = self.is_spoilt
        best = {name: x[chosen] for name, x in selected.items()}
        finite = np.isfinite(best["log_normalizer"][:, 0])
        found = log_probs = None
        if num_candidates < best["top_ids"].shape[1]:
            found = order_selected(best["top_scores"], best["top_ids"], num_candidates)
        if full or found is None:
            log_probs = self.workspace.scores.download()["log_probs"][chosen, : self.vocab_size]
        if found is None:
            assert log_probs is not None
            found = select_top(np.where(finite[:, None], log_probs, 0), num_candidates)
        found.scores[~finite] = np.nan
        return StepScores(
            top_scores=found.scores,
            top_ids=found.ids,
            log_probs=log_probs if full else None,
            log_normalizer=best["log_normalizer"] if full else None,
        )
