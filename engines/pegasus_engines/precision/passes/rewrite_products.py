"""An fp32 graph with its products respelled for weights of fewer bits.

    Gemms of one attention    one Gemm and a Split, whatever the weights
    Gemm with int8 weights    MatMulIntegerToFloat (com.microsoft) of rounded rows
    Gemm with int4 weights    MatMulNBits (com.microsoft), activations in 8 bits
    Gemm with an int8 table   QGemm (com.microsoft) of rounded rows: the one 8-bit product that
                              takes the table as the embedding has it, one row per token
    Gather from an int8 table Gather, Cast, Mul by the row's scale

How rows are rounded is in `round_rows.py`. Of target `onnx` the int8 ones, and the Gather, are in
ONNX's own operators: `stock_products.py`.

Source: onnxruntime docs/ContribOperators.md.
"""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from pegasus_engines.precision.int4 import BLOCK_SIZE
from pegasus_engines.precision.passes.check_gemm import check_gemm
from pegasus_engines.precision.passes.register_tensor import register_tensor
from pegasus_engines.precision.passes.round_rows import RoundedRows, RowRounding
from pegasus_engines.precision.passes.stock_products import stock_lookup, stock_product
from pegasus_engines.precision.passes.take_over import take_over
from pegasus_engines.precision.recipe import Format, Layer, PrecisionRecipe, find_layers

__all__ = ["rewrite_products"]

_MICROSOFT = "com.microsoft"
_INT8_ACTIVATIONS = 4  # MatMulNBits' accuracy_level


def rewrite_products(
    model: ir.Model, recipe: PrecisionRecipe, stored: Mapping[str, ir.ExternalTensor]
) -> bool:
    """Respells, in place, every product that the recipe changes; says whether there was any.

    stored: what `quantize_weights` named, as it lies in the weights file.
    """
    is_stock = recipe.target == "onnx"
    rewriter = _Rewriter(model.graph, stored, is_stock=is_stock)
    layers = [layer for layer in find_layers(model.graph.initializers) if recipe.changes(layer)]
    for layer in layers:
        if layer.is_table:
            rewriter.rewrite_table(layer)
        else:
            rewriter.rewrite_linear(layer, recipe.format_of(layer))
    if layers:
        if not is_stock:
            model.opset_imports.setdefault(_MICROSOFT, 1)
        rewriter.drop_unused_initializers()
    return bool(layers)


class _Rewriter:
    """One graph being changed."""

    def __init__(
        self, graph: ir.Graph, stored: Mapping[str, ir.ExternalTensor], *, is_stock: bool
    ) -> None:
        self.graph = graph
        self.stored = stored
        self.is_stock = is_stock
        self.rows = RowRounding(graph)

    def rewrite_linear(self, layer: Layer, precision: Format) -> None:
        rewrite = {"fp32": self._fuse, "int8": self._rewrite_int8, "int4": self._rewrite_int4}
        rewrite[precision](layer)

    def _fuse(self, layer: Layer) -> None:
        gemms = self._gemms(layer)
        inputs = [self._input(gemms), self._initializer(f"{layer.name}.weight"), self._bias(layer)]
        self._replace(gemms, [ir.node("Gemm", _given(inputs), {"transB": 1})])

    def _rewrite_int8(self, layer: Layer) -> None:
        gemms = self._gemms(layer)
        rounded = self.rows.round(self._input(gemms))
        matrix = self._initializer(f"{layer.name}.int8")
        scale = self._initializer(f"{layer.name}.scale")
        if self.is_stock:
            nodes = stock_product(rounded, matrix, scale)
        else:
            nodes = _contrib_product(rounded, matrix, scale)
        if (bias := self._bias(layer)) is not None:
            nodes.append(ir.node("Add", [nodes[-1].outputs[0], bias]))
        self._replace(gemms, nodes)

    def _rewrite_int4(self, layer: Layer) -> None:
        gemms = self._gemms(layer)
        weights = [self.graph.initializers[name].const_value for name in layer.weights]
        shapes = [weight.shape.numpy() for weight in weights if weight is not None]
        matrix = self._initializer(f"{layer.name}.int4")
        scale = self._initializer(f"{layer.name}.scale")
        zero = self._initializer(f"{layer.name}.zero")
        inputs = [self._input(gemms), matrix, scale, zero, None, self._bias(layer)]
        attributes = {
            "N": sum(shape[0] for shape in shapes),
            "K": shapes[0][1],
            "bits": 4,
            "block_size": BLOCK_SIZE,
            "accuracy_level": _INT8_ACTIVATIONS,
        }
        self._replace(
            gemms, [ir.node("MatMulNBits", _given(inputs), attributes, domain=_MICROSOFT)]
        )

    def rewrite_table(self, layer: Layer) -> None:
        for usage in list(self.graph.initializers[layer.weights[0]].uses()):
            if usage.node.op_type == "Gather":
                self._rewrite_lookup(layer, usage.node)
            else:
                self._rewrite_head(layer, usage.node)

    def drop_unused_initializers(self) -> None:
        for name, value in list(self.graph.initializers.items()):
            if not value.uses():
                del self.graph.initializers[name]

    def _rewrite_lookup(self, layer: Layer, gather: ir.Node) -> None:
        table = self._initializer(f"{layer.name}.int8")
        scale = self._initializer(f"{layer.name}.scale")
        ids = gather.inputs[1]
        if self.is_stock:
            assert ids is not None
            self._substitute(gather, stock_lookup(table, scale, ids))
            return
        rows = ir.node("Gather", [table, ids], {"axis": 0})
        floats = ir.node("Cast", rows.outputs, {"to": ir.DataType.FLOAT})
        scales = ir.node("Gather", [scale, ids], {"axis": 0})
        product = ir.node("Mul", [floats.outputs[0], scales.outputs[0]])
        self._substitute(gather, [rows, floats, scales, product])

    def _rewrite_head(self, layer: Layer, gemm: ir.Node) -> None:
        check_gemm(gemm, layer)
        rounded = self.rows.round(self._input([gemm]))
        if self.is_stock:
            nodes = self._stock_head(layer, rounded)
        else:
            nodes = self._contrib_head(layer, rounded)
        if len(gemm.inputs) > 2:
            nodes.append(ir.node("Add", [nodes[-1].outputs[0], gemm.inputs[2]]))
        self._substitute(gemm, nodes)

    def _stock_head(self, layer: Layer, rounded: RoundedRows) -> list[ir.Node]:
        table, rows = self._initializer(f"{layer.name}.int8"), f"{layer.name}.scale"
        shape = self.stored[rows].shape.numpy()  # [V, 1]
        return stock_product(rounded, table, self._view(rows, f"{rows}.head", shape[:1]))

    def _contrib_head(self, layer: Layer, rounded: RoundedRows) -> list[ir.Node]:
        # A mapping of its own: once the session has packed it, its pages go back to the system,
        # which they could not if the embedding's lookups held on to them.
        shape = self.stored[f"{layer.name}.int8"].shape.numpy()
        table = self._view(f"{layer.name}.int8", f"{layer.name}.int8.head", shape)
        scale = self._view(f"{layer.name}.scale", f"{layer.name}.scale.head", shape[:1])
        zero = self._initializer(f"{layer.name}.zero")
        inputs = [rounded.values, rounded.step, rounded.zero, table, scale, zero]
        product = ir.node("QGemm", inputs, {"transB": 1}, domain=_MICROSOFT)
        return [product, ir.node("Mul", [product.outputs[0], rounded.largest])]

    def _gemms(self, layer: Layer) -> list[ir.Node]:
        """The layer's products, in the order of its modules."""
        gemms = []
        for name in layer.weights:
            (usage,) = self.graph.initializers[name].uses()
            check_gemm(usage.node, layer)
            gemms.append(usage.node)
        if any(gemm.inputs[0] is not gemms[0].inputs[0] for gemm in gemms):
            raise ValueError(f"the projections of {layer.name} read different inputs")
        return gemms

    def _input(self, gemms: Sequence[ir.Node]) -> ir.Value:
        """What they read."""
        value = gemms[0].inputs[0]
        assert value is not None
        return value

    def _replace(self, gemms: Sequence[ir.Node], nodes: Sequence[ir.Node]) -> None:
        """Puts nodes where the layer's products were, and a Split behind if they were several."""
        if len(gemms) == 1:
            self._substitute(gemms[0], nodes)
            return
        split = ir.node(
            "Split",
            nodes[-1].outputs,
            {"axis": -1, "num_outputs": len(gemms)},
            num_outputs=len(gemms),
        )
        self.graph.insert_before(gemms[0], [*nodes, split])
        for gemm, part in zip(gemms, split.outputs, strict=True):
            self._take_over(gemm, part)

    def _substitute(self, old: ir.Node, nodes: Sequence[ir.Node]) -> None:
        """Puts nodes in the place of one; the last one's output takes over."""
        self.graph.insert_before(old, nodes)
        self._take_over(old, nodes[-1].outputs[0])

    def _take_over(self, old: ir.Node, new: ir.Value) -> None:
        """Lets a value be what a node's output was, and removes the node."""
        take_over(old.outputs[0], new)
        self.graph.remove(old, safe=True)

    def _bias(self, layer: Layer) -> ir.Value | None:
        name = f"{layer.name}.bias"
        return self._initializer(name) if name in self.stored else None

    def _initializer(self, name: str) -> ir.Value:
        """The graph's value of a stored tensor."""
        known = self.graph.initializers.get(name)
        return known or register_tensor(self.graph, self.stored[name])

    def _view(self, name: str, view_name: str, shape: Sequence[int]) -> ir.Value:
        """The same bytes of the file under another name and shape."""
        stored = self.stored[name]
        return register_tensor(
            self.graph,
            ir.ExternalTensor(
                stored.location,
                stored.offset,
                stored.length,
                stored.dtype,
                shape=ir.Shape(shape),
                name=view_name,
                base_dir=stored.base_dir,
            ),
        )


def _contrib_product(rounded: RoundedRows, matrix: ir.Value, scale: ir.Value) -> list[ir.Node]:
    inputs = [rounded.values, matrix, rounded.step, scale, rounded.zero]
    product = ir.node("MatMulIntegerToFloat", inputs, domain=_MICROSOFT)
    return [product, ir.node("Mul", [product.outputs[0], rounded.largest])]


def _given(inputs: Sequence[ir.Value | None]) -> Sequence[ir.Value | None]:
    """Without those that are missing at the end."""
    while inputs[-1] is None:
        inputs = inputs[:-1]
    return inputs
