"""A chain of the second order, behind the engine Protocol and as the parts of generate.onnx.

What follows depends on the last two tokens, of which a step is given one: the other comes from the
cache, so that rows which do not take theirs along show.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_export.dialects.nodes import Nodes, name_values
from pegasus_export.generation.parts import ENCODER, STEP
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores
from runtime.search.markov_engine import START, MarkovDecoding, MarkovEngine, scores_from_log_probs

__all__ = ["PairEngine", "chain_parts", "random_pairs"]

OPSET = 18
_INT64, _FLOAT = ir.DataType.INT64, ir.DataType.FLOAT


def random_pairs(rng: np.random.Generator, kinds: int, vocab_size: int) -> npt.NDArray[np.float32]:
    """[D, V, V, V] logits: kind of document, the token before the last, the last, the next."""
    logits = 3 * rng.standard_normal((kinds, vocab_size, vocab_size, vocab_size))
    return logits.astype(np.float32)


def log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class PairEngine(MarkovEngine):
    """See the module; the first token of a document is its kind."""

    def __init__(self, pairs: npt.NDArray[np.float32]) -> None:
        super().__init__(log_softmax(pairs[:, START]))
        self.pairs = pairs

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "PairDecoding":
        kinds = np.array([source[0] % len(self.pairs) for source in sources])
        return PairDecoding(self, kinds, rows_per_document, max_length)


class PairDecoding(MarkovDecoding):
    engine: PairEngine

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        super().step(tokens, parents, num_candidates=num_candidates, full=full)
        rows = self.history.reshape(len(tokens), -1)  # [B, R, T] -> [N, T]
        before = rows[:, -2] if rows.shape[1] > 1 else np.full_like(tokens, START)
        kinds = np.repeat(self.kinds, self.history.shape[1])
        logits = self.engine.pairs[kinds, before, tokens]
        log_probs = log_softmax(logits)
        scores = scores_from_log_probs(log_probs, num_candidates, full, 0.0)
        if not full:
            return scores
        normalizer = logits[:, :1] - log_probs[:, :1]
        return StepScores(
            top_scores=scores.top_scores,
            top_ids=scores.top_ids,
            log_probs=log_probs,
            log_normalizer=normalizer,
        )


def chain_parts(pairs: npt.NDArray[np.float32]) -> dict[str, ir.Model]:
    """An "encoder" that tells the kind of a document, and a step whose cache holds tokens."""
    return {ENCODER: _encoder(len(pairs)), STEP: _step(pairs)}


def _encoder(kinds: int) -> ir.Model:
    nodes = Nodes()
    input_ids = _value("input_ids", _INT64, ("batch", "source"))
    mask = _value("attention_mask", _INT64, ("batch", "source"))
    first = nodes("Slice", nodes("Mul", input_ids, mask), [0], [1], [1])
    kind = nodes("Mod", first, kinds)
    return _model(nodes, [input_ids, mask], [kind], ENCODER)


def _step(pairs: npt.NDArray[np.float32]) -> ir.Model:
    nodes = Nodes()
    tokens = _value("input_ids", _INT64, ("rows", 1))
    position = _value("position", _INT64, (1,))
    mask = _value("attention_mask", _INT64, ("batch", "source"))
    kind = _value("cross_key.0", _INT64, ("batch", 1))
    past = _value("past_key.0", _FLOAT, ("rows", 1, "past", 1))
    table = ir.Value(name="pairs", const_value=ir.tensor(pairs, name="pairs"))
    own = nodes("Cast", nodes("Unsqueeze", tokens, [1, 2]), to=_FLOAT)  # [N, 1] -> [N, 1, 1, 1]
    present = nodes("Concat", past, own, axis=2)
    started = nodes("Concat", nodes("Mul", own, float(START)), past, axis=2)
    before = nodes("Slice", started, [-1], [np.iinfo(np.int64).max], [2])
    before = nodes("Cast", nodes("Reshape", before, [-1, 1]), to=_INT64)
    batch = nodes("Shape", kind, start=0, end=1)
    rows = nodes("Div", nodes("Shape", tokens, start=0, end=1), batch)
    kinds = nodes("Expand", kind, nodes("Concat", batch, rows, axis=0))
    kinds = nodes("Reshape", kinds, [-1, 1])  # [B, K] -> [N, 1]
    logits = nodes("GatherND", table, nodes("Concat", kinds, before, tokens, axis=1))
    model = _model(nodes, [tokens, position, mask, kind, past], [logits, present], STEP)
    model.graph.initializers["pairs"] = table
    return model


def _value(name: str, dtype: ir.DataType, shape: tuple[int | str, ...]) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def _model(nodes: Nodes, inputs: list[ir.Value], outputs: list[ir.Value], name: str) -> ir.Model:
    graph = nodes.graph(name, inputs, outputs, OPSET)
    name_values(graph, f"{name}.")
    return ir.Model(graph, ir_version=9)
