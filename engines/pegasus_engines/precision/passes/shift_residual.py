"""Makes a graph compute with 2^-k of the residual stream: the same function, if its weights do.

The epsilon of every LayerNorm becomes 2^-2k of what it was, and what embedded tokens are multiplied
by 2^-k; the weights that write into the stream are scaled where they are stored.
"""

import numpy as np
import onnx_ir as ir

from pegasus_engines.precision.passes.residual_stream import Lookup, find_stream
from pegasus_engines.precision.residual_shift import ResidualShift

__all__ = ["shift_residual"]

_DEFAULT_EPSILON = 1e-5  # of ONNX


def shift_residual(model: ir.Model, shift: ResidualShift) -> bool:
    """Changes a graph in place that is as it was traced; says whether there was a stream to shift.

    Raises: ValueError where the stream is not read and written as it should be.
    """
    if not shift.bits:
        return False
    stream = find_stream(model.graph)
    for norm in stream.norms:
        epsilon = norm.attributes.get_float("epsilon", _DEFAULT_EPSILON)
        norm.attributes["epsilon"] = ir.AttrFloat32("epsilon", shift.scale_epsilon(epsilon))
    for lookup in stream.lookups:
        _multiply(model.graph, lookup, shift.scale_embedding(lookup.factor))
    return bool(stream.norms)


def _multiply(graph: ir.Graph, lookup: Lookup, factor: float) -> None:
    """Lets embedded tokens be multiplied by this, and by nothing where it is 1."""
    rows, product = lookup.gather.outputs[0], lookup.product
    if product is None and factor != 1:
        _insert_product(graph, lookup.gather, factor)
    elif product is not None:
        old = next(value for value in product.inputs if value is not rows)
        if factor == 1:
            ir.convenience.replace_all_uses_with(product.outputs[0], rows)
            graph.remove(product, safe=True)
        else:
            product.replace_input_with(product.inputs.index(old), _scalar(graph, factor))
        if old is not None and old.is_initializer() and not old.uses():
            del graph.initializers[str(old.name)]


def _insert_product(graph: ir.Graph, gather: ir.Node, factor: float) -> None:
    rows = gather.outputs[0]
    readers = list(rows.uses())
    product = ir.node("Mul", [rows, _scalar(graph, factor)], name=f"{rows.name}.product")
    scaled = product.outputs[0]
    scaled.name, scaled.shape, scaled.type = f"{rows.name}.scaled", rows.shape, rows.type
    for reader in readers:
        reader.node.replace_input_with(reader.idx, scaled)
    graph.insert_after(gather, [product])


def _scalar(graph: ir.Graph, number: float) -> ir.Value:
    """One for all that are multiplied by it."""
    name = f"embedding_factor.{number!r}"
    known = graph.initializers.get(name)
    if known is not None:
        return known
    tensor = ir.tensor(np.float32(number), name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(()), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value
