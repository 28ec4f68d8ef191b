"""One plan of TensorRT, of either flavour: bound to memory, run, and recorded as a CUDA graph."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import LibraryLog
from pegasus_runtime.sessions.cuda.device import CudaBuffer, CudaDevice
from pegasus_runtime.sessions.cuda.recording import CudaGraph
from pegasus_runtime.sessions.device.protocol import NoMemoryError, View
from pegasus_runtime.sessions.tensorrt.kernels import KernelCache

__all__ = ["PlanSession", "PlanTensor", "Scratch", "TensorRTGraph", "TensorRTRun"]

_LOG = logging.getLogger(__name__)
_ALIGNMENT = 256  # bytes; what TensorRT asks of every address

Shape = tuple[int, ...]


class Scratch:
    """What plans compute in: one piece for all of them, because only one runs at a time."""

    def __init__(self, device: CudaDevice, num_bytes: int) -> None:
        """num_bytes: what the greediest profile of any plan needs."""
        self._device = device
        self._num_bytes = num_bytes
        self._buffer: CudaBuffer | None = None

    def buffer(self) -> CudaBuffer:
        """Allocated when first asked for. Raises: EngineError if there is not enough memory."""
        if self._buffer is None:
            self._buffer = self._device.allocate(self._num_bytes)
        return self._buffer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanSession:
    """What the plans of a bundle share; kernels: None where nothing is compiled at run time."""

    library: Any
    log: LibraryLog
    device: CudaDevice
    scratch: Scratch
    kernels: KernelCache | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTensor:
    """An input or output of a plan; -1 is a size that a profile gives a range."""

    name: str
    is_input: bool
    dtype: str
    shape: Shape

    @property
    def view_dtype(self) -> np.dtype[Any]:
        """NumPy's, of the views that may be bound: it has no bfloat16, its bits do."""
        return np.dtype("uint16" if self.dtype == "bfloat16" else self.dtype)


class TensorRTGraph:
    """See `Graph`."""

    def __init__(
        self,
        name: str,
        engine: Any,
        tensors: tuple[PlanTensor, ...],
        session: PlanSession,
        *,
        capture: bool,
    ) -> None:
        """engine: an ICudaEngine; capture: records what runs twice on the same memory."""
        self.name = name
        self.engine = engine
        self.tensors = tensors
        self.session = session
        self.capture = capture
        """Turned off, with a warning, by a plan that cannot be recorded."""
        self._idle: dict[int, list[Any]] = {}
        """Profile -> contexts that no prepared run uses any more."""
        self._known_shapes: set[tuple[Shape, ...]] = set()

    def prepare(self, views: Mapping[str, View]) -> TensorRTRun:
        """See `Graph`; views of other names are ignored."""
        for tensor in self.tensors:
            self._check_view(tensor, views)
        bound = {tensor.name: views[tensor.name] for tensor in self.tensors}
        profile = self._find_profile(bound)
        with self.session.device.hold():
            self.session.device.synchronize()  # the context's last run may still be under way
            idle = self._idle.setdefault(profile, [])
            context = idle.pop() if idle else self._make_context(profile)
            run = TensorRTRun(self, context, bound)
            # A context goes from run to run, so there are as many as runs that are alive at once.
            # Each its own: what was recorded of a context holds until it is bound to other memory.
            weakref.finalize(run, idle.append, context).atexit = False
            run.bind()
        return run

    def keep_kernels(self, shapes: tuple[Shape, ...]) -> None:
        """Keeps what the library may have compiled for shapes that it had not seen yet."""
        if self.session.kernels is not None and shapes not in self._known_shapes:
            self._known_shapes.add(shapes)
            self.session.kernels.save()

    def stop_capturing(self, reason: str) -> None:
        """From now on every run calls the library."""
        self.capture = False
        _LOG.warning(
            "%s: cannot be recorded as a CUDA graph, each run takes longer: %s", self.name, reason
        )

    def error(self, what: str) -> EngineError:
        """That something failed, and what the library said about it."""
        reason = self.session.log.take_error()
        message = f"{self.name}: {what}: {reason}"
        if "out of memory" in message.lower():
            hint = "ask for fewer beams, a smaller batch or shorter documents"
            return NoMemoryError(f"{message}: {hint}")
        return EngineError(message)

    def ask(self, what: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Calls one of TensorRT's setters.

        Some return False where they fail, some raise: `set_optimization_profile_async` of the
        Python bindings raises RuntimeError (NVIDIA/TensorRT, python/src/infer/pyCore.cpp).
        Raises: EngineError, with what the library said.
        """
        try:
            is_done = function(*arguments)
        except RuntimeError as err:  # of which the library's log has the reason
            raise self.error(what) from err
        if is_done is False:
            raise self.error(what)

    def _make_context(self, profile: int) -> Any:
        library, kernels = self.session.library, self.session.kernels
        strategy = library.ExecutionContextAllocationStrategy.USER_MANAGED
        if kernels is None:
            context = self.engine.create_execution_context(strategy)
        else:
            config = self.engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(strategy)
            # LAZY compiles in the background and changes kernels in between: nothing to record.
            specialization = library.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = (
                specialization.EAGER if self.capture else specialization.LAZY
            )
            kernels.attach(config)
            context = self.engine.create_execution_context(config)
        if context is None:
            raise self.error("no execution context")
        stream = self.session.device.stream_handle
        refused = f"profile {profile} was refused"
        self.ask(refused, context.set_optimization_profile_async, profile, stream)
        scratch = self.session.scratch.buffer()
        memory = scratch.address, scratch.num_bytes
        self.ask(f"{scratch.num_bytes} bytes were refused", context.set_device_memory, *memory)
        return context

    def _check_view(self, tensor: PlanTensor, views: Mapping[str, View]) -> None:
        what = f"{self.name}: {'input' if tensor.is_input else 'output'} {tensor.name}"
        if tensor.name not in views:
            raise EngineError(f"{what} is not bound: give a view for it")
        view = views[tensor.name]
        if view.dtype != tensor.view_dtype:
            raise EngineError(
                f"{what} is {tensor.dtype}, got a view of {view.dtype}: give one of "
                f"{tensor.view_dtype}"
            )
        if view.address % _ALIGNMENT:
            raise EngineError(
                f"{what}: its view starts {view.address % _ALIGNMENT} bytes behind a multiple of "
                f"{_ALIGNMENT}, TensorRT takes multiples only: pad what lies before it"
            )

    def _find_profile(self, views: Mapping[str, View]) -> int:
        misfits = []
        for profile in range(self.engine.num_optimization_profiles):
            misfit = self._find_misfit(views, profile)
            if misfit is None:
                return profile
            misfits.append(f"profile {profile} takes {misfit}")
        raise EngineError(
            f"{self.name}: no profile takes these shapes: {'; '.join(misfits)}: give fewer or "
            "shorter documents, or export again for larger ones"
        )

    def _find_misfit(self, views: Mapping[str, View], profile: int) -> str | None:
        """The first input whose shape a profile does not take, and which it would take."""
        for tensor in self.tensors:
            if not tensor.is_input:
                continue
            smallest = largest = tensor.shape
            if -1 in tensor.shape:
                ranges = self.engine.get_tensor_profile_shape(tensor.name, profile)
                smallest, largest = tuple(ranges[0]), tuple(ranges[-1])
            shape = views[tensor.name].shape
            if len(shape) != len(smallest) or not all(
                low <= size <= high
                for low, size, high in zip(smallest, shape, largest, strict=True)
            ):
                taken = ", ".join(
                    str(low) if low == high else f"{low} to {high}"
                    for low, high in zip(smallest, largest, strict=True)
                )
                return f"{tensor.name} [{taken}], got {list(shape)}"
        return None


class TensorRTRun:
    """See `PreparedRun`; made by `TensorRTGraph.prepare`."""

    def __init__(self, graph: TensorRTGraph, context: Any, views: Mapping[str, View]) -> None:
        self._graph = graph
        self._context = context
        self._views = views
        """Keeps the memory that the context knows by address only."""
        self._has_run = False
        self._recorded: CudaGraph | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether runs launch a CUDA graph."""
        return self._recorded is not None

    def bind(self) -> None:
        """Tells the context of shapes and addresses. Raises: EngineError."""
        context, graph = self._context, self._graph
        for tensor in graph.tensors:
            view = self._views[tensor.name]
            if tensor.is_input:
                what = f"input {tensor.name} cannot be {list(view.shape)}"
                graph.ask(what, context.set_input_shape, tensor.name, view.shape)
            what = f"{tensor.name} cannot be bound"
            graph.ask(what, context.set_tensor_address, tensor.name, view.address)
        for tensor in graph.tensors:
            view = self._views[tensor.name]
            shape = tuple(context.get_tensor_shape(tensor.name))
            if not tensor.is_input and shape != view.shape:
                raise EngineError(
                    f"{graph.name}: output {tensor.name} is {list(shape)}, got a view of "
                    f"{list(view.shape)}: give one of that shape"
                )

    def run(self, interrupt: Interrupt | None = None) -> None:
        """See `PreparedRun`; from the second time on it launches what was recorded.

        What is enqueued, in no time, nothing ends: its caller looks again before the next step.
        """
        with self._graph.session.device.hold():
            if self._has_run and self._recorded is None and self._graph.capture:
                self._record()
            if self._recorded is not None:
                self._recorded.launch()
            else:
                self._enqueue()
                if not self._has_run:
                    self._graph.keep_kernels(tuple(x.shape for x in self._views.values()))
                self._has_run = True

    def warm_up(self) -> None:
        """Has everything compiled and recorded, so that the next run is as fast as any.

        Runs on what the bound memory holds, and waits. Raises: EngineError.
        """
        self.run()
        if self._graph.capture:
            self.run()
        self._graph.session.device.synchronize()

    def _enqueue(self) -> None:
        stream = self._graph.session.device.stream_handle
        self._graph.ask("failed", self._context.execute_async_v3, stream)

    def _record(self) -> None:
        graph = self._graph
        device = graph.session.device
        # Of TensorRT for RTX: false for a plan that allocates while it runs.
        can_capture = getattr(self._context, "is_stream_capturable", None)
        if can_capture is not None and not can_capture(device.stream_handle):
            graph.stop_capturing("the plan allocates while it runs, build it again")
            return
        try:
            self._recorded = CudaGraph(device, self._enqueue)
        except EngineError as err:
            graph.stop_capturing(str(err))
