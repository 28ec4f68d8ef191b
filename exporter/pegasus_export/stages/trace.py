"""Torch modules to ONNX graphs whose weights stay where the checkpoint mapped them.

`torch.onnx.export(dynamo=True)` traces with shapes alone, so that no weight is read here; the
graph's initialisers still are the checkpoint's tensors, under the checkpoint's names.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset18 as op

from pegasus_export.graphs.definition import GraphDefinition, GraphInput
from pegasus_export.passes.clear_metadata import clear_metadata
from pegasus_export.passes.define_plugin import define_plugin
from pegasus_export.passes.define_sparse_attention import define_sparse_attention

__all__ = ["OPSET", "trace_graph"]

OPSET = 18
_MODULE_PREFIX = "pegasus."


def trace_graph(definition: GraphDefinition) -> ir.Model:
    """One graph, in which names and symbolic dimensions are those of its definition."""
    inputs = list(definition.inputs())
    with _quiet(), torch.no_grad():
        exported = torch.export.export(
            definition.module,
            _map_arguments(definition, lambda x: x.example),
            dynamic_shapes=_dynamic_shapes(definition),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        _keep_operators(exported)
        program = torch.onnx.export(
            exported,
            opset_version=OPSET,
            input_names=[x.name for x in inputs],
            output_names=list(definition.outputs),
            custom_translation_table=_TRANSLATIONS,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model = program.model
    model.graph.name = definition.name
    clear_metadata(model)
    _rename_initializers(model)
    for value, graph_input in zip(model.graph.inputs, inputs, strict=True):
        assert value.name == graph_input.name
        value.shape = ir.Shape(graph_input.shape)
    for value, (name, shape) in zip(model.graph.outputs, definition.outputs.items(), strict=True):
        assert value.name == name
        value.shape = ir.Shape(shape)
    attention = definition.attention
    if attention is not None:
        define = define_plugin if attention.form == "plugin" else define_sparse_attention
        define(model, attention)
    return model


def _keep_operators(exported: torch.export.ExportedProgram) -> None:
    """Spares the exporter its decompositions, over half of its time: they trace everything again.

    The models have no operator that needs one, besides those of _TRANSLATIONS; the graphs are the
    same. Were one to come up, the conversion would fail and name it.
    """
    exported.run_decompositions = lambda table=None: exported


def _cast(value: Any, dtype: int) -> Any:
    """aten.to.dtype; the exporter has made the dtype ONNX's."""
    return op.Cast(value, to=dtype)


def _scalar(value: Any) -> Any:
    """aten.item."""
    return op.Squeeze(value)


def _subtract_from(value: Any, other: float) -> Any:
    """aten.rsub.Scalar."""
    return op.Sub(op.Constant(value_float=other), value)


_TRANSLATIONS: dict[Callable[..., object], Callable[..., object]] = {
    torch.ops.aten.to.dtype: _cast,
    torch.ops.aten.item.default: _scalar,
    torch.ops.aten.rsub.Scalar: _subtract_from,
}
"""Operators that torch's exporter knows only after decomposing them."""


def _dynamic_shapes(definition: GraphDefinition) -> tuple[object, ...]:
    """Dim.DYNAMIC: tracing fails where it would fix a size; relations between sizes may arise."""
    return _map_arguments(definition, lambda x: dict.fromkeys(x.dynamic, torch.export.Dim.DYNAMIC))


def _map_arguments(
    definition: GraphDefinition, value: Callable[[GraphInput], object]
) -> tuple[object, ...]:
    return tuple(
        [value(x) for x in argument] if isinstance(argument, list) else value(argument)
        for argument in definition.arguments
    )


def _rename_initializers(model: ir.Model) -> None:
    for name in list(model.graph.initializers):
        if name.startswith(_MODULE_PREFIX):
            value = model.graph.initializers.pop(name)
            value.name = name.removeprefix(_MODULE_PREFIX)
            model.graph.initializers[value.name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the tracer's progress prints and its advice to developers off the user's terminal."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
