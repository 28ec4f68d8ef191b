"""TensorRT, of either flavour, whose plans double what they are given, on the memory of `FakeCuda`.

A plan is the name of an engine that the test has described. Names are the library's; what it would
find wrong itself, such as memory that was not bound, is an assertion here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from runtime.sessions.fake_cuda import STREAM, FakeCuda, bytes_at

Shape = tuple[int, ...]


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    INT64 = 8
    BF16 = 9
    FP8 = 10


ITEM_BYTES = {DataType.FLOAT: 4, DataType.INT64: 8, DataType.BF16: 2}
IOMode = enum.Enum("IOMode", ["INPUT", "OUTPUT"])
Location = enum.Enum("Location", ["DEVICE", "HOST"])
Severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO"], start=0)
Strategy = enum.Enum("Strategy", ["STATIC", "USER_MANAGED"])
Specialization = enum.Enum("Specialization", ["LAZY", "EAGER", "NONE"])


class FakeLogger:
    INTERNAL_ERROR, ERROR = Severity.INTERNAL_ERROR, Severity.ERROR
    WARNING, INFO = Severity.WARNING, Severity.INFO

    def log(self, severity: Severity, message: str) -> None:
        raise AssertionError("to be overridden")


@dataclass
class FakeTensor:
    """ranges: per profile, smallest, best and largest shape; none for fixed shapes."""

    mode: str
    dtype: DataType
    shape: Shape
    ranges: tuple[tuple[Shape, Shape, Shape], ...] = ()
    location: Location = Location.DEVICE


@dataclass
class FakeEngine:
    """`y` is twice `x`; outputs have the shape of `x`."""

    tensors: dict[str, FakeTensor]
    library: FakeTensorRT
    scratch_bytes: tuple[int, ...] = (512,)
    contexts: list[FakeContext] = field(default_factory=list)
    makes_contexts: bool = True

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
        self.profile: int | None = None
        self.shapes: dict[str, Shape] = {}
        self.addresses: dict[str, int] = {}
        self.scratch: tuple[int, int] | None = None
        self.enqueued = 0
        self.work: list[Callable[[], None]] = []
        if engine.library.is_rtx:
            self.is_stream_capturable: Callable[[int], bool] = self._is_stream_capturable

    def _is_stream_capturable(self, stream: int) -> bool:
        assert stream == STREAM
        return self.engine.library.is_capturable

    def _succeeds(self, method: str) -> bool:
        if method not in self.engine.library.refused:
            return True
        self.engine.library.say(Severity.ERROR, f"{method}: Error Code 3:\n  API Usage Error")
        return False

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        assert stream == STREAM
        self.profile = profile
        return self._succeeds("set_optimization_profile_async")

    def set_device_memory(self, address: int, size: int) -> None:
        assert size >= self.engine.scratch_bytes[self.profile or 0]
        self.scratch = address, size

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        assert not any(work in self.engine.library.cuda.queue for work in self.work)
        self.shapes[name] = shape
        return self._succeeds("set_input_shape")

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self._succeeds("set_tensor_address")

    def get_tensor_shape(self, name: str) -> list[int]:
        if name in self.shapes:
            return list(self.shapes[name])
        return list(self.shapes["x"])

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        assert self.scratch is not None
        assert set(self.addresses) == set(self.engine.tensors)
        self.enqueued += 1
        library = self.engine.library
        if library.cuda.captured is not None and library.spoils_captures:
            library.cuda.spoil()
        if self.config is not None and self.config.cache is not None:
            self.config.cache.kernels.add(str(self.shapes["x"]))
        size = int(np.prod(self.shapes["x"])) * ITEM_BYTES[self.engine.tensors["x"].dtype]
        x, y = self.addresses["x"], self.addresses["y"]

        def work() -> None:
            found = bytes_at(x, size).view(np.float32) * 2
            bytes_at(y, size).view(np.float32)[...] = found

        self.work.append(work)
        library.cuda.enqueue(work)
        return self._succeeds("execute_async_v3")


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
