"""Operators that kernels for CPUs may stand in for, alone in a graph, at the shapes of a model.

Each graph calls the function that bundles have, so that the same graph runs in ONNX Runtime's own
operators and, where the library is registered, in ours.

Dimensions: B documents, K beams, N = B * K rows, S source, D model dim, H heads, Dh head dim,
T positions of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision.int8 import quantize_rows
from pegasus_engines.precision.passes.call_attention import call_attention
from pegasus_engines.precision.passes.kernel_functions import DOMAIN, add_function, call
from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import Heads
from pegasus_export.dialects.ort_block_sparse import ORT
from pegasus_export.graphs.definition import SparseAttention
from pegasus_export.passes.define_sparse_attention import define_sparse_attention

__all__ = [
    "BLOCK_SPARSE",
    "FULL",
    "MAY_ROUND",
    "PEGASUS_LARGE",
    "TINY",
    "KernelCase",
    "KernelSizes",
    "make_cases",
    "make_model",
]

Array = npt.NDArray[Any]
BLOCK_SIZE, RANDOM_BLOCKS = 64, 3
BLOCK_SPARSE, FULL = "BlockSparseAttention", "Full attention"
MAY_ROUND = ", may be rounded"
"""Behind the name of what int8 and int4 ask for: kernels may attend in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSizes:
    """Of google/pegasus-large, and of google/bigbird-pegasus-large for long documents."""

    d_model: int = 1024
    ffn_dim: int = 4096
    heads: int = 16
    vocabulary: int = 96103
    beams: int = 8
    batches: tuple[int, ...] = (1, 8)
    source_tokens: int = 512
    positions: tuple[int, ...] = (4, 32, 63)
    """Of the new token, in a cache with room for one more than the last of them."""
    long_tokens: int = 4096

    @property
    def head_dim(self) -> int:
        return self.d_model // self.heads


PEGASUS_LARGE = KernelSizes()
TINY = KernelSizes(
    d_model=64, ffn_dim=128, heads=2, vocabulary=300, beams=2, source_tokens=24, long_tokens=704
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCase:
    """One operator at one shape."""

    name: str
    operator: str
    attributes: Mapping[str, float]
    inputs: Callable[[], Mapping[str, Array]]
    """Name -> array, in the order that the operator takes them; made when they are needed."""
    constants: Sequence[str] = ()
    """The inputs that are weights."""
    in_place: Mapping[int, str] = field(default_factory=dict)
    """Outputs that are an input's memory."""
    halves: Sequence[str] = ()
    """The inputs that kernels are given as halves, two in a word."""
    gives_halves: bool = False
    num_outputs: int = 1
    whole: Sequence[int] = ()
    """The outputs that are int64."""
    is_exact: bool = False
    """Whether both spellings have to give the same to the bit."""

    def for_kernels(self, inputs: Mapping[str, Array], half: npt.DTypeLike) -> dict[str, Array]:
        """What kernels are given in their place; half: float16 or bfloat16."""
        halves = {name: inputs[name].astype(half).view(np.float32) for name in self.halves}
        return {**inputs, **halves}


def make_cases(sizes: KernelSizes) -> list[KernelCase]:
    """All that are measured."""
    return [
        *_linear_cases(sizes),
        *_source_cases(sizes),
        *_beam_cases(sizes),
        *_self_cases(sizes),
        *_norm_cases(sizes),
        *_top_cases(sizes),
        *_sparse_cases(sizes),
    ]


def make_model(case: KernelCase, inputs: Mapping[str, Array]) -> ir.Model:
    """One node, and the function that it calls. Sizes that are no weight's are left open."""
    values: list[ir.Value | None] = []
    initializers, names = [], []
    for name, array in inputs.items():
        kind = ir.TensorType(ir.DataType.from_numpy(array.dtype))
        if name in case.constants:
            value = ir.Value(name=name, type=kind, const_value=ir.tensor(array, name=name))
            initializers.append(value)
        else:
            shape = ir.Shape([f"{name}.{axis}" for axis in range(array.ndim)])
            value = ir.Value(name=name, type=kind, shape=shape)
            names.append(value)
        values.append(value)
    node = _node(case, values)
    for number, output in enumerate(node.outputs):
        dtype = ir.DataType.INT64 if number in case.whole else ir.DataType.FLOAT
        output.name, output.type = f"output.{number}", ir.TensorType(dtype)
    graph = ir.Graph(
        names, node.outputs, nodes=[node], initializers=initializers, opset_imports={"": 18}
    )
    graph.name = case.operator
    model = ir.Model(graph, ir_version=10)
    if case.operator == BLOCK_SPARSE:
        _define_sparse(model, case.attributes, d_model=inputs["query"].shape[2])
    else:
        add_function(model, node)
    return model


def _node(case: KernelCase, values: list[ir.Value | None]) -> ir.Node:
    if case.operator == BLOCK_SPARSE:
        return ir.node(case.operator, values, domain=DOMAIN)
    return call(case.operator, values, case.attributes, num_outputs=case.num_outputs)


def _define_sparse(model: ir.Model, attributes: Mapping[str, float], *, d_model: int) -> None:
    given = {name: int(value) for name, value in attributes.items()}
    heads = Heads(count=given["num_heads"], dim=d_model // given["num_heads"])
    pattern = SparsePattern(
        block_size=given["block_size"],
        num_random_blocks=given["num_random_blocks"],
        longest_full=given["longest_full"],
    )
    define_sparse_attention(model, SparseAttention(nodes=ORT, heads=heads, pattern=pattern))
    if "half" in given:
        call_attention(model, half=True)


def _floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _linear_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    width, inner, beams = sizes.d_model, sizes.ffn_dim, sizes.beams
    rows = [*(batch * beams for batch in sizes.batches), sizes.source_tokens]
    products: tuple[tuple[str, int, int, dict[str, int]], ...] = (
        ("", width, width, {}),
        (", rectified", width, inner, {"rectify": 1}),
        (", of positive numbers", inner, width, {"positive": 1}),
    )
    for what, depth, columns, attributes in products:
        for count in rows:
            yield _linear_case(what, count, depth, columns, attributes)
    for count in rows[:-1]:
        yield _linear_case(", the head", count, width, sizes.vocabulary, {"transposed": 1})


def _linear_case(
    what: str, rows: int, depth: int, columns: int, attributes: Mapping[str, int]
) -> KernelCase:
    def inputs() -> dict[str, Array]:
        x = _floats(rows, depth)
        x = np.abs(x) if attributes.get("positive") else x
        weight = quantize_rows(_floats(columns, depth, seed=1))  # as bundles have it: AVX2 needs it
        values = weight.values if attributes.get("transposed") else weight.values.T
        matrix = np.ascontiguousarray(values)
        return {"x": x, "weight": matrix, "scale": weight.scale, "bias": _floats(columns, seed=2)}

    return KernelCase(
        name=f"Int8Linear{what}, {rows} x {depth} x {columns}",
        operator="Int8Linear",
        attributes=attributes,
        inputs=inputs,
        constants=("weight", "scale", "bias"),
        is_exact=True,
    )


def _source_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    heads, tokens, width = sizes.heads, sizes.source_tokens, sizes.d_model
    for batch in sizes.batches:

        def kept(batch: int = batch) -> dict[str, Array]:
            return {"x": _floats(batch, tokens, width)}

        def attended(batch: int = batch) -> dict[str, Array]:
            shape = (batch, heads, tokens, sizes.head_dim)
            return {
                "query": _floats(batch, sizes.beams, width),
                "key": _floats(*shape, seed=1),
                "value": _floats(*shape, seed=2),
                "mask": np.ones((batch, tokens), np.int64),
            }

        yield KernelCase(
            name=f"KeepSource, {_documents(batch)}",
            operator="KeepSource",
            attributes={"num_heads": heads},
            inputs=kept,
            gives_halves=True,
        )
        for half in (True, False):
            what = f"{_documents(batch)}, {'halves' if half else 'floats'}"
            yield KernelCase(
                name=f"SourceAttention, {what}",
                operator="SourceAttention",
                attributes={"num_heads": heads},
                inputs=attended,
                halves=("key", "value") if half else (),
            )


def _beam_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    heads, beams, width = sizes.heads, sizes.beams, sizes.d_model
    room = sizes.positions[-1] + 1
    for batch in sizes.batches:
        for position in sizes.positions:

            def inputs(batch: int = batch, position: int = position) -> dict[str, Array]:
                rows = batch * beams
                past = (rows, heads, room, sizes.head_dim)
                order = np.random.default_rng(5).integers(0, beams, (batch, beams, room))
                return {
                    "qkv": _floats(rows, 3 * width),
                    "past_key": _floats(*past, seed=3),
                    "past_value": _floats(*past, seed=4),
                    "position": np.array([position], np.int32),
                    "beam_width": np.array([beams], np.int32),
                    "indirection": order.astype(np.int32),
                }

            yield KernelCase(
                name=f"BeamAttention, {_documents(batch)}, token {position}",
                operator="BeamAttention",
                attributes={"num_heads": heads},
                inputs=inputs,
                in_place={1: "past_key", 2: "past_value"},
                num_outputs=3,
            )


def _self_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    """An encoder's layer: as many tokens of one document, and of several together."""
    for batch in (1, 4):
        tokens = sizes.source_tokens // batch

        def inputs(batch: int = batch, tokens: int = tokens) -> dict[str, Array]:
            mask = np.ones((batch, tokens), np.int64)
            return {"qkv": _floats(batch * tokens, 3 * sizes.d_model), "attention_mask": mask}

        for half in (1, 0):
            yield KernelCase(
                name=f"SelfAttention, {_documents(batch)} of {tokens} tokens{_may_round(half)}",
                operator="SelfAttention",
                attributes={"num_heads": sizes.heads, **({"half": 1} if half else {})},
                inputs=inputs,
            )


def _norm_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    width = sizes.d_model
    rows = (*(batch * sizes.beams for batch in sizes.batches), sizes.source_tokens)
    for count in (*rows, sizes.long_tokens):

        def inputs(count: int = count) -> dict[str, Array]:
            given = {name: _floats(count, width, seed=i) for i, name in enumerate("xy")}
            return {**given, "weight": _floats(width, seed=2), "bias": _floats(width, seed=3)}

        yield KernelCase(
            name=f"AddLayerNormalization, {count} x {width}",
            operator="AddLayerNormalization",
            attributes={"epsilon": 1e-5},
            inputs=inputs,
            constants=("weight", "bias"),
            num_outputs=2,
        )


def _top_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    for batch in sizes.batches:
        rows = batch * sizes.beams

        def inputs(rows: int = rows) -> dict[str, Array]:
            k = np.array([2 * sizes.beams], np.int64)
            return {"logits": 3 * _floats(rows, sizes.vocabulary), "k": k}

        yield KernelCase(
            name=f"LogSoftmaxTopK, {rows} x {sizes.vocabulary}, the best {2 * sizes.beams}",
            operator="LogSoftmaxTopK",
            attributes={},
            inputs=inputs,
            num_outputs=3,
            whole=(2,),
        )


def _sparse_cases(sizes: KernelSizes) -> Iterator[KernelCase]:
    tokens = sizes.long_tokens

    def inputs() -> dict[str, Array]:
        names = ("query", "key", "value")
        heads = {name: _floats(1, tokens, sizes.d_model, seed=i) for i, name in enumerate(names)}
        return {**heads, "attention_mask": np.ones((1, tokens), np.int64)}

    for name, longest_full in ((BLOCK_SPARSE, 0), (FULL, tokens)):
        for half in (1, 0):
            yield KernelCase(
                name=f"{name}, {tokens} tokens{_may_round(half)}",
                operator=BLOCK_SPARSE,
                attributes={
                    "num_heads": sizes.heads,
                    "block_size": BLOCK_SIZE,
                    "num_random_blocks": RANDOM_BLOCKS,
                    "longest_full": longest_full,
                    **({"half": 1} if half else {}),
                },
                inputs=inputs,
            )


def _may_round(half: int) -> str:
    return MAY_ROUND if half else ""


def _documents(batch: int) -> str:
    return "1 document" if batch == 1 else f"{batch} documents"
