"""A graph with a residual stream: tokens and positions, one layer that adds to it, and a head."""

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from engines.precision.products import graph_input, initializer, model_of

TABLE = "model.shared.weight"
PLACES = "model.decoder.embed_positions.weight"
FIRST = "model.decoder.layers.0.final_layer_norm"
FC2 = "model.decoder.layers.0.fc2"
LAST = "model.decoder.layer_norm"
SIZE = 8
RNG = np.random.default_rng(0)
WEIGHTS: dict[str, npt.NDArray[np.float32]] = {
    name: RNG.standard_normal(shape, dtype=np.float32)
    for name, shape in {
        TABLE: (11, SIZE),
        PLACES: (5, SIZE),
        f"{FIRST}.weight": (SIZE,),
        f"{FIRST}.bias": (SIZE,),
        f"{FC2}.weight": (SIZE, SIZE),
        f"{FC2}.bias": (SIZE,),
        f"{LAST}.weight": (SIZE,),
        f"{LAST}.bias": (SIZE,),
    }.items()
}


def stream_model(factor: float | None = 3.0) -> ir.Model:
    """ids, places [T] -> scores [T, V], and what the head reads; factor: of embedded tokens."""
    values = {name: initializer(name, array) for name, array in WEIGHTS.items()}
    ids, places = (graph_input(x, ir.DataType.INT64, ("tokens",)) for x in ("ids", "places"))
    nodes: list[ir.Node] = []

    def add(operator: str, *inputs: ir.Value, **attributes: float) -> ir.Value:
        node = ir.node(operator, list(inputs), attributes, name=f"{operator}.{len(nodes)}")
        node.outputs[0].name = f"{operator}.{len(nodes)}"
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        nodes.append(node)
        return node.outputs[0]

    def norm(value: ir.Value, module: str) -> ir.Value:
        weight, bias = values[f"{module}.weight"], values[f"{module}.bias"]
        return add("LayerNormalization", value, weight, bias, epsilon=1e-5, axis=-1)

    rows = add("Gather", values[TABLE], ids)
    if factor is not None:
        scalar = initializer("scalar", np.array(factor, np.float32))
        values["scalar"] = scalar
        rows = add("Mul", rows, scalar)
    stream = add("Add", rows, add("Gather", values[PLACES], places))
    normalised = norm(stream, FIRST)
    written = add("Gemm", normalised, values[f"{FC2}.weight"], values[f"{FC2}.bias"], transB=1)
    hidden = norm(add("Add", stream, written), LAST)
    scores = add("Gemm", hidden, values[TABLE], transB=1)
    return model_of([ids, places], [scores, hidden], nodes, list(values.values()))
