"""ONNX Runtime's CUDA provider over preallocated memory: target `ort` in fp16 on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.ort import import_onnxruntime, open_session
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.device.protocol import View
from pegasus_runtime.sessions.ort.graph import run_graph

if TYPE_CHECKING:
    import onnxruntime

    from pegasus_runtime.sessions.cuda.device import CudaDevice

__all__ = ["CudaProviderGraph", "is_available", "open_cuda", "provider_options"]

_LOG = logging.getLogger(__name__)
_PROVIDER = "CUDAExecutionProvider"


def is_available(
    *, providers: Collection[str] | None = None, make_device: Callable[[], object] | None = None
) -> bool:
    """Whether the installed ONNX Runtime has CUDA, and a GPU answers.

    Whoever installed one that has, and has no GPU that answers, is warned: it runs on the CPU.
    Raises: EngineError if ONNX Runtime is missing.
    """
    if providers is None:
        providers = import_onnxruntime(extra="gpu").get_available_providers()
    if _PROVIDER not in providers:
        return False
    try:
        _make_device() if make_device is None else make_device()
    except EngineError as err:
        _LOG.warning("runs on the CPU, as no GPU answers: %s", err)
        return False
    return True


def _make_device() -> CudaDevice:
    from pegasus_runtime.sessions.cuda.device import CudaDevice

    return CudaDevice()


def open_cuda(bundle: Bundle) -> DeviceEngine:
    """Loads all graphs. Raises: EngineError."""
    onnxruntime = import_onnxruntime(extra="gpu")
    if _PROVIDER not in onnxruntime.get_available_providers():
        raise EngineError(
            "the installed ONNX Runtime has no CUDA: pip install 'pegasus-edge[gpu]' in place of "
            "onnxruntime, or use provider cpu"
        )
    from pegasus_runtime.sessions.cuda.device import CudaDevice

    device = CudaDevice()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; it need not print them, too
    graphs = {}
    for name, spec in bundle.manifest.graphs.items():
        path = bundle.path(spec.file)
        provider = (_PROVIDER, provider_options(device.stream_handle))
        try:
            session = open_session(path, options, [provider])
        except Exception as err:  # onnxruntime's exceptions share no base class
            raise EngineError(f"{path}: ONNX Runtime cannot load it with CUDA: {err}") from err
        if session.get_providers()[0] != _PROVIDER:
            raise EngineError(
                f"{path}: ONNX Runtime fell back to the CPU: install the CUDA and cuDNN that it "
                "was built for, or use provider cpu"
            )
        graphs[name] = CudaProviderGraph(session, device)
    return DeviceEngine(bundle, device, graphs)


def provider_options(stream_handle: int) -> dict[str, str]:
    """Of ONNX Runtime's CUDA provider, whose arena would take twice as much whenever it grows."""
    return {
        "user_compute_stream": str(stream_handle),
        "arena_extend_strategy": "kSameAsRequested",
    }


class CudaProviderGraph:
    """See `Graph`; any shapes will do."""

    def __init__(self, session: onnxruntime.InferenceSession, device: CudaDevice) -> None:
        self.session = session
        self.device = device

    def prepare(self, views: Mapping[str, View]) -> CudaProviderRun:
        """See `Graph`."""
        binding = self.session.io_binding()
        for value in self.session.get_inputs():
            view = views[value.name]
            binding.bind_input(value.name, "cuda", 0, view.dtype, list(view.shape), view.address)
        for value in self.session.get_outputs():
            view = views[value.name]
            binding.bind_output(value.name, "cuda", 0, view.dtype, list(view.shape), view.address)
        return CudaProviderRun(self, binding, views)


class CudaProviderRun:
    """See `PreparedRun`; holds on to the memory that ONNX Runtime knows by address only."""

    def __init__(
        self,
        graph: CudaProviderGraph,
        binding: onnxruntime.IOBinding,
        views: Mapping[str, View],
    ) -> None:
        self.graph = graph
        self.binding = binding
        self.views = views

    def run(self, interrupt: Interrupt | None = None) -> None:
        """See `PreparedRun`."""
        with self.graph.device.hold():
            run_graph(self.graph.session, self.binding, interrupt=interrupt)
