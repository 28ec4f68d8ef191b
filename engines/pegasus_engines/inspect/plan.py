"""The layers that TensorRT made of a graph: before it fuses them, or in the finished plan."""

import json
from pathlib import Path

from pegasus_engines.plans.tensorrt import parse_graph, start_builder
from pegasus_engines.plans.watch import record_build
from pegasus_runtime.bundle import JsonValue
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import Flavour, load_flavour, start_library

__all__ = ["check_gpu", "network_layers", "plan_layers", "read_layers"]


def network_layers(graph: Path, *, target: str) -> tuple[tuple[str, str], ...]:
    """Name and type ("MATRIX_MULTIPLY") of each layer that a graph is parsed to; needs no GPU.

    Raises: EngineError.
    """
    flavour = load_flavour(target)
    with record_build(flavour.module, None) as (logger, log):
        builder = start_builder(flavour, logger, log)
        network = parse_graph(flavour, builder, graph, logger, log)
        layers = [network.get_layer(index) for index in range(network.num_layers)]
        return tuple((layer.name, layer.type.name) for layer in layers)


def plan_layers(plan: Path, *, target: str) -> list[JsonValue]:
    """What TensorRT tells of each layer of a plan: a name, or an object if the plan was built here.

    Needs the GPU that the plan was built for. Raises: EngineError.
    """
    flavour = load_flavour(target)
    check_gpu(plan, current_capability())
    return read_layers(flavour, plan)


def check_gpu(plan: Path, current: str | None) -> None:
    """Raises: EngineError if there is no GPU, without which TensorRT opens no plan."""
    if current is None:
        raise EngineError(
            f"{plan}: a plan can be opened on a GPU only, and there is none: "
            "do this on the device that it was built for"
        )


def read_layers(flavour: Flavour, plan: Path) -> list[JsonValue]:
    """As `plan_layers`, without a look for the GPU."""
    module = flavour.module
    with record_build(module, None) as (logger, log):
        title = f"{flavour.title} {flavour.version}"
        runtime = start_library(module.Runtime, logger, title, log.explain)
        engine = runtime.deserialize_cuda_engine(plan.read_bytes())
        if engine is None:
            raise EngineError(f"{plan}: {flavour.title} cannot open it: {log.explain()}")
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(module.LayerInformationFormat.JSON)
    layers: list[JsonValue] = json.loads(text)["Layers"]
    return layers
