"""One weights file for all graphs of a bundle: each tensor is written once, under its name.

Graphs refer to the file as ONNX external data. ONNX Runtime maps it into memory, so tensors
start on page boundaries. Initialisers below a kilobyte stay inside their graph.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["PAGE_BYTES", "WeightsFile", "is_external"]

PAGE_BYTES = 4096
_INLINE_BYTES = 1024
_CHUNK_BYTES = 2**22


def is_external(tensor: ir.TensorProtocol) -> bool:
    """Whether a tensor belongs in the weights file rather than in its graph."""
    return tensor.nbytes >= _INLINE_BYTES


class WeightsFile:
    """Weights being written; `sha256` is known as soon as the file is closed.

    A name that comes again, in another graph, refers to the tensor already written: the graphs
    of one bundle come from one module, and names are that module's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = ""
        self.num_bytes = 0
        """Written so far."""
        self._written: dict[str, ir.ExternalTensor] = {}
        self._digest = hashlib.sha256()

    def __enter__(self) -> "WeightsFile":
        self._file = self.path.open("xb", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()  # what publishes the bundle syncs it
        self.sha256 = self._digest.hexdigest()

    @property
    def tensors(self) -> Mapping[str, ir.ExternalTensor]:
        """What was written so far, by name."""
        return self._written

    def write(self, tensors: Iterable[tuple[str, npt.NDArray[np.generic]]]) -> None:
        """Writes what graphs will refer to by these names, in a thread of its own if need be.

        Hashing and writing leave the interpreter to others, such as the tracer of the graphs.
        """
        for name, array in tensors:
            self._add(name, ir.Tensor(array, name=name))

    def move_in(self, model: ir.Model) -> None:
        """Replaces the graph's initialisers by references into this file."""
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is None or isinstance(tensor, ir.ExternalTensor):
                continue
            if name in self._written or is_external(tensor):
                value.const_value = self._add(name, tensor)

    def _add(self, name: str, tensor: ir.TensorProtocol) -> ir.ExternalTensor:
        known = self._written.get(name)
        if known is not None:
            if known.shape != tensor.shape or known.dtype != tensor.dtype:
                raise ValueError(f"two graphs disagree on the weight {name}")
            return known
        self._write(bytes(-self.num_bytes % PAGE_BYTES))
        reference = ir.ExternalTensor(
            self.path.name,
            self.num_bytes,
            tensor.nbytes,
            tensor.dtype,
            shape=ir.Shape(tensor.shape.numpy()),
            name=name,
            base_dir=self.path.parent,
        )
        self._write_array(_bytes_of(tensor))
        self._written[name] = reference
        return reference

    def _write_array(self, array: npt.NDArray[np.uint8]) -> None:
        data = array.data
        for start in range(0, len(data), _CHUNK_BYTES):
            self._write(data[start : start + _CHUNK_BYTES])

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self._digest.update(view)
        self.num_bytes += len(view)
        while view:  # a raw write may be partial
            view = view[self._file.write(view) or 0 :]


def _bytes_of(tensor: ir.TensorProtocol) -> npt.NDArray[np.uint8]:
    """As they lie in a file; arrays in memory have a byte for each integer of four bits."""
    if tensor.dtype.bitwidth < 8:
        return np.frombuffer(tensor.tobytes(), dtype=np.uint8)
    return np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8)
