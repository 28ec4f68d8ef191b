"""An engine that waits for the test, and says what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import Decoding, Engine, StepScores
from pegasus_runtime.errors import EngineError

__all__ = ["PATIENCE_S", "GatedEngine", "wait_until"]

PATIENCE_S = 120
"""That a test waits for what has to happen, on a machine with much else to do."""


def wait_until(is_so: Callable[[], object]) -> None:
    """Returns when it is so."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.002)):
        if is_so():
            return
        pause.wait(0.002)
    raise AssertionError("it has not come to that")


class GatedEngine:
    """Another engine, that may be held in its encoder or before a step."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.encoder_gate, self.step_gate = threading.Event(), threading.Event()
        self.encoder_gate.set()
        self.step_gate.set()
        self.held_step = 0
        """Steps up to this one pass a closed gate."""
        self.batches: list[list[tuple[int, ...]]] = []
        """The sources of every batch that began."""
        self.rows: list[int] = []
        """How many documents each step was for."""
        self.broken: set[tuple[int, ...]] = set()
        """Sources that a batch fails with."""
        self.breaks_at: int | None = None
        """The step that fails where such a source is in the batch; None: the encoder."""
        self.error: BaseException = EngineError("the engine is broken")

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        """See `Engine.start`."""
        taken = [tuple(source) for source in sources]
        self.batches.append(taken)
        fails = bool(self.broken & set(taken))
        if fails and self.breaks_at is None:
            raise self.error
        assert interrupt is not None
        ended = threading.Event()
        with interrupt.ending(ended.set):
            while not self.encoder_gate.wait(0.002):
                if ended.is_set():
                    raise EngineError("ONNX Runtime failed: terminated")
        decoding = self.engine.start(
            sources, rows_per_document=rows_per_document, max_length=max_length
        )
        return _GatedDecoding(self, decoding, len(sources), fails)


class _GatedDecoding:
    def __init__(
        self, engine: GatedEngine, decoding: Decoding, num_documents: int, fails: bool
    ) -> None:
        self.engine, self.decoding, self.num_documents = engine, decoding, num_documents
        self.fails = fails
        self.num_steps = 0

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        """See `Decoding.step`."""
        self.num_steps += 1
        self.engine.rows.append(self.num_documents)
        if self.num_steps > self.engine.held_step:
            assert self.engine.step_gate.wait(PATIENCE_S)
        if self.fails and self.num_steps == self.engine.breaks_at:
            raise self.engine.error
        return self.decoding.step(tokens, parents, num_candidates=num_candidates, full=full)

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        """See `Decoding.keep`."""
        self.num_documents = len(documents)
        self.decoding.keep(documents)
