"""What one decoder step has to read and to multiply, taken from a bundle's graph and manifest.

Weights are those that the graph of the step uses, at the precision that they are stored in; a
table of which only rows are gathered is not read, and weights that two names share count once.

Dimension key: D model dim, L decoder layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from pegasus_runtime.bundle import open_bundle

__all__ = ["MatmulKernel", "StepCost", "WeightUse", "cost_of_rows", "read_weight_use", "step_cost"]

FLOAT_BYTES = 4
WEIGHT_INPUT = {
    "MatMul": 1,
    "FusedMatMul": 1,
    "Gemm": 1,
    "DynamicQuantizeMatMul": 1,
    "MatMulNBits": 1,
    "QGemm": 3,
}
LEAST_SHARE_IN_PRODUCTS = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class MatmulKernel:
    """What decides how fast ONNX Runtime can multiply; the last three are MatMulNBits's."""

    op_type: str
    weight_type: str
    bits: int = 0
    block_size: int = 0
    accuracy_level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightUse:
    """The weights of a graph that is run on some number of rows."""

    read_bytes: int
    multiply_adds_per_row: dict[MatmulKernel, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One step of all rows; an average over steps where the target grows."""

    weight_bytes: int
    cross_cache_bytes: float
    self_cache_bytes: float
    weight_multiply_adds: dict[MatmulKernel, int]
    attention_multiply_adds: float
    """In fp32, over the source and over the target so far."""

    @property
    def total_bytes(self) -> float:
        return self.weight_bytes + self.cross_cache_bytes + self.self_cache_bytes

    @property
    def total_multiply_adds(self) -> float:
        return sum(self.weight_multiply_adds.values()) + self.attention_multiply_adds


def step_cost(
    bundle_folder: Path, *, batch: int, beams: int, source_tokens: int, target_tokens: float
) -> StepCost:
    """target_tokens: that the self-attention reads; of several steps, their mean."""
    bundle = open_bundle(bundle_folder)
    facts = bundle.manifest.architecture
    return cost_of_rows(
        read_weight_use(bundle.path(bundle.manifest.graphs["decoder_step"].file)),
        cache_width=facts.decoder_layers * facts.decoder_heads * facts.head_dim,
        batch=batch,
        beams=beams,
        source_tokens=source_tokens,
        target_tokens=target_tokens,
    )


def cost_of_rows(
    use: WeightUse,
    *,
    cache_width: int,
    batch: int,
    beams: int,
    source_tokens: int,
    target_tokens: float,
) -> StepCost:
    """Keys and values of the source are read once per document, those of the target per beam.

    cache_width: floats that all layers keep of one token's keys, L*D; as many of its values.
    """
    rows = batch * beams
    return StepCost(
        weight_bytes=use.read_bytes,
        cross_cache_bytes=2 * batch * source_tokens * cache_width * FLOAT_BYTES,
        self_cache_bytes=2 * rows * target_tokens * cache_width * FLOAT_BYTES,
        weight_multiply_adds={
            kernel: rows * count for kernel, count in use.multiply_adds_per_row.items()
        },
        attention_multiply_adds=2 * rows * (source_tokens + target_tokens) * cache_width,
    )


def read_weight_use(graph_file: Path) -> WeightUse:
    """Reads the graph only, not its weights.

    Raises: ValueError if a part of the weights is in operators that are not known here.
    """
    graph = onnx.load(str(graph_file), load_external_data=False).graph
    graphs = [graph, *_subgraphs(graph)]
    tensors = {tensor.name: tensor for each in graphs for tensor in each.initializer}
    read: dict[tuple[object, ...], int] = {}
    in_products: set[tuple[object, ...]] = set()
    multiply_adds: dict[MatmulKernel, int] = {}
    for node in (node for each in graphs for node in each.node):
        weight = _product_weight(node, tensors)
        if weight is not None:
            kernel, count = _kernel_and_size(node, weight)
            multiply_adds[kernel] = multiply_adds.get(kernel, 0) + count
        if not node.op_type.startswith("Gather"):
            used = [tensors[name] for name in node.input if name in tensors]
            read.update({_storage(tensor): _tensor_bytes(tensor) for tensor in used})
            in_products.update(_storage(tensor) for tensor in used if weight is not None)
    read_bytes = sum(read.values())
    _check_coverage(read, in_products, graph_file)
    return WeightUse(read_bytes=read_bytes, multiply_adds_per_row=multiply_adds)


def _product_weight(
    node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]
) -> onnx.TensorProto | None:
    index = WEIGHT_INPUT.get(node.op_type)
    if index is None or index >= len(node.input):
        return None
    return tensors.get(node.input[index])


def _kernel_and_size(node: onnx.NodeProto, weight: onnx.TensorProto) -> tuple[MatmulKernel, int]:
    weight_type = onnx.TensorProto.DataType.Name(weight.data_type)
    if node.op_type != "MatMulNBits":
        return MatmulKernel(op_type=node.op_type, weight_type=weight_type), math.prod(weight.dims)
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    kernel = MatmulKernel(
        op_type=node.op_type,
        weight_type=weight_type,
        bits=attributes["bits"],
        block_size=attributes["block_size"],
        accuracy_level=attributes.get("accuracy_level", 0),
    )
    return kernel, attributes["K"] * attributes["N"]


def _check_coverage(
    read: dict[tuple[object, ...], int], in_products: set[tuple[object, ...]], graph_file: Path
) -> None:
    total = sum(read.values())
    known = sum(size for storage, size in read.items() if storage in in_products)
    if known < LEAST_SHARE_IN_PRODUCTS * total:
        raise ValueError(
            f"{graph_file}: of {total} bytes of weights, {known} are in products of known operators"
            f" ({', '.join(WEIGHT_INPUT)}): add the missing operator to WEIGHT_INPUT"
        )


def _subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            inner: Iterable[onnx.GraphProto] = (
                [attribute.g] if attribute.HasField("g") else attribute.graphs
            )
            for each in inner:
                yield each
                yield from _subgraphs(each)


def _storage(tensor: onnx.TensorProto) -> tuple[object, ...]:
    """Where the bytes are: two names of the same bytes have the same storage."""
    external = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return external["location"], external.get("offset", "0")
    return (tensor.name,)


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    external = {entry.key: entry.value for entry in tensor.external_data}
    if "length" in external:
        return int(external["length"])
    item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(math.prod(tensor.dims) * item.itemsize)
