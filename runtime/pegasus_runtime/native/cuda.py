"""Calls of CUDA's runtime through cuda-bindings; one that fails says why, and what to do.

cuda-bindings has a CUDA runtime to itself: 12.8 one of its own, from 12.9 on NVIDIA's, statically
linked (its release notes; `_internal/runtime*.so` needs no libcudart). So its last error is never
TensorRT's nor ONNX Runtime's, and nobody clears it: each call's own code is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pegasus_plugins.cuda_calls import CudaCallError, CudaCalls, import_cuda
from pegasus_runtime.errors import EngineError

__all__ = ["CudaFrees", "CudaRuntime"]

_CPU_INSTEAD = "use a bundle of --target ort"
_HINTS = {
    "cudaErrorMemoryAllocation": "ask for fewer beams, a smaller batch or shorter documents",
    "cudaErrorNoDevice": (
        f"there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it: show it, or {_CPU_INSTEAD}"
    ),
}
_OTHER_EXTRAS = "or [rtx], [gpu]; their twins -cu12 where the driver is for CUDA 12"
_OTHER_HINT = f"start the process again, or {_CPU_INSTEAD}"


class CudaRuntime:
    """`calls("cudaMalloc", 256)` gives the call's result, or raises EngineError."""

    def __init__(self, runtime: Any = None) -> None:
        """runtime: a stand-in for `cuda.bindings.runtime`. Raises: EngineError if it is missing."""
        try:
            self.runtime: Any = import_cuda("runtime") if runtime is None else runtime
        except CudaCallError as err:
            raise EngineError(f"{err} ({_OTHER_EXTRAS}), or {_CPU_INSTEAD}") from err
        self._calls = CudaCalls(self.runtime)

    def __call__(self, name: str, *arguments: Any) -> Any:
        """The result of the call called `name`, None if it has none. Raises: EngineError."""
        try:
            return self._calls(name, *arguments)
        except CudaCallError as err:
            raise self._advise(err) from err

    def check(self, name: str, error: Any) -> None:
        """Raises: EngineError if a call called `name` returned an error."""
        try:
            self._calls.check(name, error)
        except CudaCallError as err:
            raise self._advise(err) from err

    def _advise(self, err: CudaCallError) -> EngineError:
        """The same error, with what to do about it."""
        if not err.code:
            return EngineError(f"{err}, or {_CPU_INSTEAD}")
        if err.code == "cudaErrorInsufficientDriver":
            return EngineError(f"{err}: {self._driver_hint()}")
        return EngineError(f"{err}: {_HINTS.get(err.code, _OTHER_HINT)}")

    def _driver_hint(self) -> str:
        """CUDA gives one code for a driver that is too old and for none at all."""
        _, driver = self.runtime.cudaDriverGetVersion()
        if not driver:
            return f"no NVIDIA driver was found: install it, or {_CPU_INSTEAD}"
        _, library = self.runtime.cudaRuntimeGetVersion()
        return (
            f"the NVIDIA driver is for CUDA {_version(driver)}, cuda-bindings for CUDA "
            f"{_version(library)}: update the driver, or install cuda-bindings {driver // 1000}.x, "
            f"with all else that is for CUDA, as the extras -cu{driver // 1000} do"
        )


_WAITING: deque[tuple[Any, str, Any]] = deque()
_CAPTURES: set[object] = set()


class CudaFrees:
    """Gives back what nothing refers to any more, from whichever line Python finds that out in.

    That may be a line of a capture, which a cudaFree would spoil: those wait for its end. What is
    let go there may be another bundle's, so that all of a process wait together.
    """

    def __init__(self, calls: CudaRuntime) -> None:
        self._runtime = calls.runtime

    def free(self, name: str, handle: Any) -> None:
        """Calls `name`, which frees a handle, now or after the capture."""
        _WAITING.append((self._runtime, name, handle))
        _free_waiting()

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Frees nothing until the block ends."""
        capture = object()
        _CAPTURES.add(capture)
        try:
            yield
        finally:
            _CAPTURES.discard(capture)
            _free_waiting()


def _free_waiting() -> None:
    """No lock: it may run within any line of Python."""
    while not _CAPTURES:
        try:
            runtime, name, handle = _WAITING.popleft()
        except IndexError:  # also when another thread took the last one
            return
        # A code is of no use here: the only failures are those of a GPU whose state is lost, and
        # the next call that somebody waits for reports that.
        getattr(runtime, name)(handle)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
