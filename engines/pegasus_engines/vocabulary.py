"""The vocabulary as TensorRT's graphs have it: padded, and shared by them as an input.

Tensor cores like sizes that are multiples of 8, and PEGASUS has 96103 tokens. Tokens that there
are not have rows of zeros, and a bias that leaves them no probability. The table that embeds the
tokens, and is the head too where it is tied, is an input of every graph that has it: in a device's
memory, as on disk, it is there once.

Dimensions: V vocabulary, Vp padded, D model dim.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.network import ENCODER_POSITIONS, FINAL_BIAS, TOKEN_TABLES

__all__ = ["add_final_bias", "pad_rows", "padded_weights", "share_tables"]

_MULTIPLE = 8
Float32 = npt.NDArray[np.float32]


def padded_weights(
    weights: Mapping[str, Float32], *, block_size: int | None
) -> Iterator[tuple[str, Float32]]:
    """The weights one after another, padded; the final bias is always among them.

    block_size: of sparse attention, whose positions are padded to whole blocks, three or more.
    """
    vocab_size = next(len(weights[name]) for name in TOKEN_TABLES if name in weights)
    padded = vocab_size + -vocab_size % _MULTIPLE
    for name, array in weights.items():
        if name in TOKEN_TABLES:
            yield name, pad_rows(array, padded)
        elif name == ENCODER_POSITIONS and block_size is not None:
            yield name, pad_rows(array, max(3 * block_size, len(array) + -len(array) % block_size))
        elif name != FINAL_BIAS:
            yield name, array
    bias = np.full(padded, np.finfo(np.float32).min, dtype=np.float32)
    bias[:vocab_size] = weights.get(FINAL_BIAS, np.zeros(vocab_size, np.float32)).reshape(-1)
    yield FINAL_BIAS, bias


def pad_rows(array: Float32, rows: int) -> Float32:
    """Zeros below a matrix, so that it has so many rows."""
    missing = rows - len(array)
    return np.pad(array, ((0, missing), (0, 0))) if missing else array


def add_final_bias(model: ir.Model, bias: ir.ExternalTensor) -> bool:
    """Lets the head add the final bias, and its scores have the padded vocabulary.

    Says whether the graph has a head: a product whose matrix is a table.
    """
    graph = model.graph
    for name in TOKEN_TABLES:
        table = graph.initializers.get(name)
        for usage in table.uses() if table is not None else ():
            if usage.node.op_type == "Gemm":
                _add_bias(graph, usage.node, bias)
                return True
    return False


def _add_bias(graph: ir.Graph, head: ir.Node, bias: ir.ExternalTensor) -> None:
    if FINAL_BIAS not in graph.initializers:
        graph.register_initializer(ir.Value(name=FINAL_BIAS, const_value=bias))
    value = graph.initializers[FINAL_BIAS]
    vocab_size = head.outputs[0].shape[-1] if head.outputs[0].shape is not None else None
    value.const_value, value.type = bias, ir.TensorType(bias.dtype)
    value.shape = ir.Shape(bias.shape.numpy())
    if len(head.inputs) < 3:
        head.resize_inputs(3)
    head.replace_input_with(2, value)
    for node in graph:
        for output in node.outputs:
            if output.shape is not None and vocab_size in list(output.shape)[-1:]:
                output.shape = ir.Shape([*list(output.shape)[:-1], bias.shape.numpy()[0]])


def share_tables(models: Mapping[str, ir.Model]) -> dict[str, list[str]]:
    """Makes inputs of the tables that are in several graphs; says which graphs have which."""
    users: dict[str, list[str]] = {}
    for graph, model in models.items():
        for name in TOKEN_TABLES:
            if name in model.graph.initializers:
                users.setdefault(name, []).append(graph)
    shared = {name: graphs for name, graphs in users.items() if len(graphs) > 1}
    for name, graphs in shared.items():
        for graph in graphs:
            value = models[graph].graph.initializers.pop(name)
            value.const_value = None
            models[graph].graph.inputs.append(value)
    return shared
