"""TensorRT, of either flavour, whose plans compute on the memory of `FakeCuda`.

A plan is the name of an engine that the test has described; unless it is told otherwise, an engine
doubles `x` into `y`. What raises and what returns was read in NVIDIA/TensorRT (release 11.1),
python/src/infer/pyCore.cpp and include/NvInferRuntime.h:

    set_optimization_profile_async  raises RuntimeError, never returns False   pyCore.cpp:336-342
    set_input_shape                 False; more than 8 sizes, or one beyond    pyCore.cpp:134-149
                                    int32, raise RuntimeError
    set_tensor_address              False: no such tensor, or an address that  pyCore.cpp:118,
                                    is no multiple of 256                      NvInferRuntime.h:4380
    set_device_memory               nothing (v2 returns void): memory that is  pyCore.cpp:349
                                    too small is told by the log and the run
    execute_async_v3                False                                      pyCore.cpp:113
    create_execution_context,       None (a null pointer)                      pyCore.cpp:1422
    deserialize_cuda_engine                                                    pyCore.cpp:165
    get_tensor_shape                sizes of -1 before the inputs are set, no  NvInferRuntime.h:4140
                                    sizes for an unknown name

Each of them says why to the logger. A run after a change of profile, shape or scratch memory does
updates that no capture can hold (Developer Guide, "CUDA Graphs": call enqueueV3 once before the
capture); memory is used from the call on until the stream is waited for, scratch memory too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpu_stand_ins.cuda import CudaError, FakeCuda
from gpu_stand_ins.memory import bytes_at
from gpu_stand_ins.tensorrt_names import (
    ALIGNMENT,
    MOST_SIZES,
    NUMPY,
    SCRATCHED,
    Arrays,
    DataType,
    FakeLogger,
    FakeTensor,
    IOMode,
    Location,
    Severity,
    Shape,
    Specialization,
    Strategy,
)


def double(arrays: Arrays) -> None:
    """`y` is twice `x`."""
    arrays["y"].view(np.float32)[...] = arrays["x"].view(np.float32) * 2


def shape_of_x(name: str, shapes: Mapping[str, Shape]) -> Shape:
    """That of every output which has no fixed shape."""
    return shapes["x"]


@dataclass
class FakeEngine:
    """compute: fills the arrays of outputs. infer: the shape of an output that is not fixed, of
    those of all inputs. scratch_bytes: of each profile."""

    tensors: dict[str, FakeTensor]
    library: FakeTensorRT
    scratch_bytes: tuple[int, ...] = (512,)
    compute: Callable[[Arrays], None] = double
    infer: Callable[[str, Mapping[str, Shape]], Shape] = shape_of_x
    contexts: list[FakeContext] = field(default_factory=list)
    makes_contexts: bool = True
    compiled: list[tuple[Shape, ...]] = field(default_factory=list)
    """Of TensorRT for RTX: shapes that kernels were compiled for, while the caller waited."""

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.scratch_bytes)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return IOMode[self.tensors[name].mode]

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.tensors[name].dtype

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self.tensors[name].shape)

    def get_tensor_location(self, name: str) -> Any:
        return self.tensors[name].location

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[list[int]]:
        return [list(shape) for shape in self.tensors[name].ranges[profile]]

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return self.scratch_bytes[profile]

    def create_runtime_config(self) -> FakeConfig:
        assert self.library.is_rtx
        return FakeConfig(self.library)

    def create_execution_context(self, how: Any) -> FakeContext | None:
        if not self.makes_contexts:
            self.library.say(Severity.ERROR, "Error Code 2: OutOfMemory (out of memory)")
            return None
        assert isinstance(how, FakeConfig) == self.library.is_rtx
        strategy = how.strategy if isinstance(how, FakeConfig) else how
        assert strategy is Strategy.USER_MANAGED
        context = FakeContext(self, how if isinstance(how, FakeConfig) else None)
        self.contexts.append(context)
        return context


class FakeCache:
    """Its kernels are the shapes that were run."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.kernels: set[str] = set()

    def serialize(self) -> memoryview:
        return memoryview(";".join([self.version, *sorted(self.kernels)]).encode())

    def deserialize(self, blob: bytes) -> bool:
        version, *kernels = bytes(blob).decode(errors="replace").split(";")
        if version == self.version:
            self.kernels |= set(kernels)
        return version == self.version


class FakeConfig:
    def __init__(self, library: FakeTensorRT) -> None:
        self.library = library
        self.strategy: Any = Strategy.STATIC
        self.dynamic_shapes_kernel_specialization_strategy: Any = Specialization.LAZY
        self.cache: FakeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> FakeCache:
        return FakeCache(self.library.__version__)

    def set_runtime_cache(self, cache: FakeCache) -> bool:
        self.cache = cache
        return self.library.takes_cache


class FakeContext:
    def __init__(self, engine: FakeEngine, config: FakeConfig | None) -> None:
        self.engine = engine
        self.config = config
        self.profile = 0
        self.shapes: dict[str, Shape] = {
            name: tensor.shape for name, tensor in self._inputs().items() if -1 not in tensor.shape
        }
        self.addresses: dict[str, int] = {}
        self.scratch: tuple[int, int] | None = None
        self.enqueued = 0
        self.is_updated = False
        """Whether a run was enqueued since profile, shapes or scratch memory changed."""
        self.work: list[Callable[[], None]] = []
        if engine.library.is_rtx:
            self.is_stream_capturable: Callable[[int], bool] = self._is_stream_capturable

    def _is_stream_capturable(self, stream: int) -> bool:
        assert stream in self.engine.library.cuda.streams
        return self.engine.library.is_capturable

    def _inputs(self) -> dict[str, FakeTensor]:
        return {name: x for name, x in self.engine.tensors.items() if x.mode == "INPUT"}

    def _fails(self, method: str, problem: str = "") -> bool:
        """Whether a call fails, for a reason or because the test wants it to; the log says why."""
        if not problem and method not in self.engine.library.refused:
            return False
        text = f"{method}: Error Code 3:\n  API Usage Error"
        self.engine.library.say(Severity.ERROR, f"{text} ({problem})" if problem else text)
        return True

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        is_known = 0 <= profile < self.engine.num_optimization_profiles
        problem = "" if is_known else f"there is no profile {profile}"
        if self._fails("set_optimization_profile_async", problem):
            raise RuntimeError("Error in set optimization profile async.")
        if profile != self.profile:
            self.shapes = {k: v for k, v in self.shapes.items() if not self._inputs()[k].ranges}
        self.profile, self.is_updated = profile, False
        return True

    def set_device_memory(self, memory: int, size: int) -> None:
        needed = self.engine.scratch_bytes[self.profile]
        problem = "" if size >= needed and memory % ALIGNMENT == 0 else f"{size} of {needed} bytes"
        self.scratch = None if self._fails("set_device_memory", problem) else (memory, size)
        self.is_updated = False

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        assert isinstance(shape, tuple | list)  # or Dims, which there is no need of
        if len(shape) > MOST_SIZES:
            raise RuntimeError(
                "The number of input dims exceeds the maximum allowed number of dimensions"
            )
        if any(not -(2**31) <= size < 2**31 for size in shape):
            raise RuntimeError("Unable to cast Python instance to C++ type")
        assert not any(work in self.engine.library.cuda.queue for work in self.work)
        if self._fails("set_input_shape", self._shape_problem(name, tuple(shape))):
            return False
        self.shapes[name], self.is_updated = tuple(shape), False
        return True

    def _shape_problem(self, name: str, shape: Shape) -> str:
        tensor = self._inputs().get(name)
        if tensor is None:
            return f"{name} is no input"
        low = high = tensor.shape
        if tensor.ranges:
            low, _, high = tensor.ranges[self.profile]
        is_inside = len(shape) == len(low) and all(
            least <= size <= most for least, size, most in zip(low, shape, high, strict=True)
        )
        return "" if is_inside else f"{name} {shape} is outside {low} to {high}"

    def set_tensor_address(self, name: str, memory: int) -> bool:
        problem = "" if name in self.engine.tensors else f"there is no {name}"
        problem = problem or (f"{memory} is not aligned" if memory % ALIGNMENT else "")
        if self._fails("set_tensor_address", problem):
            return False
        self.addresses[name] = memory
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        tensor = self.engine.tensors.get(name)
        if tensor is None:
            return []
        if name in self.shapes:
            return list(self.shapes[name])
        if tensor.mode == "INPUT" or set(self._inputs()) - set(self.shapes):
            return list(tensor.shape)
        return list(self.engine.infer(name, self.shapes))

    def execute_async_v3(self, stream: int) -> bool:
        if self._fails("execute_async_v3", self._run_problem()):
            return False
        library = self.engine.library
        is_captured = library.cuda.is_capturing(stream)
        self.enqueued += 1
        if is_captured and (library.spoils_captures or not self.is_updated):
            error: CudaError | None = library.cuda.spoil()
        else:
            self._compile()
            error = library.cuda.launch(stream, self._work())
        self.is_updated |= not is_captured
        if error is not None:
            library.say(Severity.ERROR, f"Error Code 1: Cuda Runtime ({error.name})")
        return error is None

    def _run_problem(self) -> str:
        lacks = sorted(set(self._inputs()) - set(self.shapes))
        if lacks:
            return f"{lacks[0]} has no shape"
        lacks = sorted(x for x in self.engine.tensors if not self.addresses.get(x))
        if lacks:
            return f"{lacks[0]} has no address"
        return "" if self.scratch else "there is no device memory"

    def _compile(self) -> None:
        """Kernels of shapes that are new to this engine and to its cache."""
        if self.config is None:
            return
        shapes = tuple(self.shapes[name] for name, x in self._inputs().items() if x.ranges)
        known = self.config.cache.kernels if self.config.cache is not None else set[str]()
        is_eager = self.config.dynamic_shapes_kernel_specialization_strategy is Specialization.EAGER
        kernel = ", ".join(map(str, shapes))
        if is_eager and kernel not in known:
            self.engine.compiled.append(shapes)
        known.add(kernel)

    def _work(self) -> Callable[[], None]:
        """What runs when the stream comes to it, on shapes and addresses as they are now."""
        cuda, scratch = self.engine.library.cuda, self.scratch
        spans = {}
        for name, tensor in self.engine.tensors.items():
            dtype, shape = np.dtype(NUMPY[tensor.dtype]), self.get_tensor_shape(name)
            size = int(np.prod(shape)) * dtype.itemsize
            spans[name] = (self.addresses[name], size, dtype, shape)

        def work() -> None:
            assert scratch is not None
            places = [scratch, *((address, size) for address, size, _, _ in spans.values())]
            if not all(cuda.all_memory.holds(*place) for place in places):
                cuda.lose()
            if cuda.lost:
                return
            bytes_at(*scratch).fill(SCRATCHED)
            self.engine.compute(
                {
                    name: bytes_at(address, size).view(dtype).reshape(shape)
                    for name, (address, size, dtype, shape) in spans.items()
                }
            )

        self.work.append(work)
        return work


class FakeTensorRT:
    """Stands in for the module `tensorrt`, or `tensorrt_rtx`."""

    ILogger = FakeLogger
    DataType = DataType
    TensorIOMode = IOMode
    TensorLocation = Location
    ExecutionContextAllocationStrategy = Strategy

    def __init__(self, cuda: FakeCuda, *, is_rtx: bool) -> None:
        self.cuda = cuda
        self.is_rtx = is_rtx
        self.__name__ = "tensorrt_rtx" if is_rtx else "tensorrt"
        self.__version__ = "1.7.1.116" if is_rtx else "10.3.0"
        self.engines: dict[bytes, FakeEngine] = {}
        """Plan -> engine; a plan that is not there cannot be loaded."""
        self.open_plan: Callable[[FakeTensorRT, bytes], FakeEngine] | None = None
        """Makes an engine of a plan that is not there."""
        self.logger: Any = None
        self.takes_cache = True
        self.is_capturable = True
        self.spoils_captures = False
        self.refused: set[str] = set()
        """Methods of contexts that fail."""
        if is_rtx:
            self.IRuntimeCache = FakeCache
            self.DynamicShapesKernelSpecializationStrategy = Specialization

    def say(self, severity: Severity, message: str) -> None:
        self.logger.log(severity, message)

    def Runtime(self, logger: Any) -> SimpleNamespace:  # noqa: N802  the library's name
        self.logger = logger

        def deserialize_cuda_engine(plan: Any) -> FakeEngine | None:
            found = self.engines.get(bytes(plan))
            if found is None and self.open_plan is not None:
                return self.open_plan(self, bytes(plan))
            if found is None:
                self.say(Severity.WARNING, "an engine of another GPU")
                self.say(Severity.ERROR, "Error Code 1:\n  Serialization (magic tag)")
                self.say(Severity.INFO, "Loaded engine size: 0 MiB")
            return found

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)

    def add_engine(
        self, plan: bytes, tensors: Mapping[str, FakeTensor], **facts: Any
    ) -> FakeEngine:
        engine = FakeEngine(tensors=dict(tensors), library=self, **facts)
        self.engines[plan] = engine
        return engine
