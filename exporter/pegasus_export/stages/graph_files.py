"""Traced graphs and the weights they share, written into a bundle."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from threadpoolctl import threadpool_limits

from pegasus_engines.precision.convert import Conversion
from pegasus_engines.weights import WeightsFile
from pegasus_export.graphs.definition import Compose, GraphDefinition
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.request.progress import Advance, Progress
from pegasus_export.stages.trace import trace_graph
from pegasus_runtime.bundle import BundleWriter, GraphSpec, TableSpec, TensorSpec

__all__ = [
    "TracedGraphs",
    "WrittenGraphs",
    "graph_spec",
    "network_weights",
    "trace_graphs",
    "write_graphs",
]

TracedGraphs = Mapping[str, ir.Model]
"""Name -> the fp32 graph; its weights still are the checkpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenGraphs:
    """What the manifest says of the graphs."""

    graphs: Mapping[str, GraphSpec]
    tables: Mapping[str, TableSpec]
    stored: Mapping[str, ir.ExternalTensor]
    """All that lies in the weights file, by name."""


def network_weights(pegasus: Pegasus) -> dict[str, npt.NDArray[np.float32]]:
    """All weights that a graph may read, by name; they stay where they are mapped."""
    return {
        name: tensor.numpy()
        for name, tensor in pegasus.state_dict().items()
        if name not in pegasus.unused_names()
    }


def trace_graphs(definitions: Sequence[GraphDefinition], progress: Progress) -> TracedGraphs:
    """Traces every graph."""
    models = {}
    for definition in definitions:
        with progress(f"trace {definition.name}"):
            models[definition.name] = trace_graph(definition)
    return models


def write_graphs(
    trace: Callable[[], TracedGraphs],
    weights: Mapping[str, npt.NDArray[np.float32]],
    conversion: Conversion,
    staging: BundleWriter,
    ending: str,
    weights_file: str,
    progress: Progress,
    *,
    compose: Compose,
    expected_bytes: int,
    metadata: Mapping[str, str],
) -> WrittenGraphs:
    """Writes weights and graphs as converted, over those of an earlier conversion.

    The weights are converted and written in the background while `trace` is at work; what it
    returns is left as it is. compose: what is done to the converted graphs in the end.
    expected_bytes: about how much is written, for the progress. ending: of the graphs' files.
    metadata: entries that every graph gets.
    """
    (staging.path / weights_file).unlink(missing_ok=True)
    with (
        WeightsFile(staging.path / weights_file) as file,
        ThreadPoolExecutor(1) as background,
        # small matrices, beside another busy thread: several would wait for each other
        threadpool_limits(limits=1, user_api="blas"),
    ):
        written = background.submit(file.write, conversion.store(weights))
        traced = trace()
        with progress("write weights", expected_bytes) as advance:
            _await_weights(written, file, advance)
            models = {name: model.clone() for name, model in traced.items()}
            for change in conversion.passes(file.tensors):
                change(models)
            for model in models.values():
                file.move_in(model)
            models = compose(models)
            for name, model in models.items():
                model.metadata_props.update(metadata)
                ir.save(model, staging.path / f"{name}{ending}")
    staging.record(weights_file, sha256=file.sha256)
    tables = _find_tables(models, file.tensors)
    return WrittenGraphs(
        graphs={name: graph_spec(f"{name}{ending}", model) for name, model in models.items()},
        tables={name: _table_spec(*table, weights_file) for name, table in tables.items()},
        stored=dict(file.tensors),
    )


def _await_weights(written: Future[None], file: WeightsFile, advance: Advance) -> None:
    """Shows how the writing gets on; raises what it raised."""
    shown = 0
    while not written.done():
        wait([written], timeout=0.1)
        done = file.num_bytes
        advance(done - shown)
        shown = done
    written.result()


def _find_tables(
    models: TracedGraphs, stored: Mapping[str, ir.ExternalTensor]
) -> dict[str, tuple[ir.ExternalTensor, list[str]]]:
    """Matrices that more than one graph is given, or only looks rows up in, and those graphs."""
    tensors: dict[str, ir.ExternalTensor] = {}
    users: dict[str, list[str]] = {}
    for graph, model in models.items():
        given = (str(value.name) for value in model.graph.inputs)
        found = {name: stored[name] for name in given if name in stored}
        for name, tensor in (found | _looked_up(model.graph)).items():
            tensors[name] = tensor
            users.setdefault(name, []).append(graph)
    return {name: (tensors[name], graphs) for name, graphs in users.items() if len(graphs) > 1}


def _looked_up(graph: ir.Graph) -> dict[str, ir.ExternalTensor]:
    """External matrices that nothing is done with but looking up rows."""
    found = {}
    for name, value in graph.initializers.items():
        tensor, uses = value.const_value, value.uses()
        is_looked_up = all(use.node.op_type == "Gather" and use.idx == 0 for use in uses)
        if isinstance(tensor, ir.ExternalTensor) and len(tensor.shape) == 2 and is_looked_up:
            found[name] = tensor
    return found


def _table_spec(tensor: ir.ExternalTensor, graphs: Sequence[str], weights_file: str) -> TableSpec:
    rows, columns = tensor.shape.numpy()
    return TableSpec(
        file=weights_file,
        offset=tensor.offset or 0,
        dtype=tensor.dtype.numpy().name,
        shape=(int(rows), int(columns)),
        graphs=tuple(graphs),
    )


def graph_spec(file: str, model: ir.Model) -> GraphSpec:
    """What the manifest says of a graph in this file."""

    def specs(values: Sequence[ir.Value]) -> tuple[TensorSpec, ...]:
        return tuple(_tensor_spec(value) for value in values)

    return GraphSpec(
        file=file, inputs=specs(model.graph.inputs), outputs=specs(model.graph.outputs)
    )


def _tensor_spec(value: ir.Value) -> TensorSpec:
    assert value.name is not None
    assert value.dtype is not None
    assert value.shape is not None
    shape = tuple(dim if isinstance(dim, int) else str(dim.value) for dim in value.shape)
    is_text = value.dtype == ir.DataType.STRING
    dtype = "string" if is_text else value.dtype.numpy().name
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)
