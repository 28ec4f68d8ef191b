"""ONNX Runtime on the CPU, over the memory of this computer.

It runs the graphs that TensorRT builds plans of, through the same decoding: what they compute, and
what the runtime does around them, is checked in this way where there is no GPU. fp16 graphs run
too, though not fast: ONNX Runtime computes in fp32 what the CPU has no fp16 instructions for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device.protocol import View
from pegasus_runtime.sessions.ort.graph import check_graph, load_graph, run_graph

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["HostGraph", "load_host_graphs"]


class HostGraph:
    """See `Graph`; any shapes will do."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.inputs = [value.name for value in session.get_inputs()]
        self.outputs = [value.name for value in session.get_outputs()]

    def prepare(self, views: Mapping[str, View]) -> HostRun:
        """See `Graph`. Raises: EngineError for a graph of another kind."""
        binding = self.session.io_binding()
        for names, bind in (
            (self.inputs, binding.bind_input),
            (self.outputs, binding.bind_output),
        ):
            for name in names:
                if name not in views:
                    raise EngineError(
                        f"a graph has {name}, which the manifest says nothing of: export the "
                        "checkpoint again"
                    )
                view = views[name]
                bind(name, "cpu", 0, view.dtype, list(view.shape), view.address)
        return HostRun(self.session, binding, views)


class HostRun:
    """See `PreparedRun`; holds on to the memory that ONNX Runtime knows by address only."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        binding: onnxruntime.IOBinding,
        views: Mapping[str, View],
    ) -> None:
        self.session = session
        self.binding = binding
        self.views = views

    def run(self, interrupt: Interrupt | None = None) -> None:
        """See `PreparedRun`."""
        run_graph(self.session, self.binding, interrupt=interrupt)


def load_host_graphs(
    bundle: Bundle, *, threads: int | None = None, pack_weights: bool = True
) -> dict[str, HostGraph]:
    """All graphs of a bundle, by name.

    pack_weights: lets ONNX Runtime keep a second copy of them, in the order in which it is fastest.
    Raises: EngineError; BundleError for graphs unlike the manifest's.
    """
    found = {}
    for name, spec in bundle.manifest.graphs.items():
        # Kernels are for fp32, and these graphs may be in fp16.
        session = load_graph(bundle, name, threads, pack_weights=pack_weights, kernels=False)
        inputs, outputs = (
            {each.name for each in tensors} for tensors in (spec.inputs, spec.outputs)
        )
        check_graph(bundle, name, session, inputs, outputs)
        found[name] = HostGraph(session)
    return found
