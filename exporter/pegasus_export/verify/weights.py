"""The weights of a bundle in fp32, which are the checkpoint's to the bit.

Outputs show what graphs do with the weights, but not all weights: documents of a few tokens look up
a few rows of a table, and where one value of the residual stream is far larger than all others,
most of a layer is lost in rounding. Compared by checksum, so that checkpoint and bundle need not be
in memory together.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_export.errors import VerificationError
from pegasus_export.models.pegasus import Pegasus
from pegasus_runtime.bundle import Bundle

__all__ = ["check_weights", "sum_weights"]

_BYTES = 16 * 1024 * 1024  # at a time
_Array = npt.NDArray[np.generic]


def sum_weights(pegasus: Pegasus) -> dict[str, tuple[int, int]]:
    """Name -> rows and checksum; queries, keys and values of an attention as one matrix, too."""
    tensors = {name: tensor.numpy() for name, tensor in pegasus.state_dict().items()}
    sums = {name: (len(array), _sum(array)) for name, array in tensors.items()}
    for name in tensors:
        if ".q_proj." in name:
            parts = [tensors.get(name.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
            arrays = [part for part in parts if part is not None]
            if len(arrays) == len(parts):
                joined = name.replace(".q_proj.", ".qkv_proj.")
                sums[joined] = (sum(map(len, arrays)), _sum(*arrays))
    return sums


def check_weights(bundle: Bundle, expected: Mapping[str, tuple[int, int]]) -> None:
    """Of a bundle in fp32; those of others are scaled or rounded.

    Raises: VerificationError.
    """
    if bundle.manifest.precision != "fp32":
        return
    for name, stored in sorted(_stored(bundle)):
        if name not in expected:
            continue
        rows, checksum = expected[name]
        if stored.sum_of(rows) != checksum:  # tables for a device have a few rows more, of nothing
            raise VerificationError(
                f"weight {name} is not the checkpoint's: report this with the checkpoint's "
                "config.json"
            )


@dataclass(frozen=True, slots=True, order=True)
class _Stored:
    """Where a weight lies in a bundle."""

    path: Path
    offset: int
    row_bytes: int

    def sum_of(self, rows: int) -> int:
        """Of its first rows; read and not mapped, so that they need no memory."""
        checksum, left = 0, rows * self.row_bytes
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left and (chunk := file.read(min(left, _BYTES))):
                checksum, left = zlib.crc32(chunk, checksum), left - len(chunk)
        return checksum


def _stored(bundle: Bundle) -> set[tuple[str, _Stored]]:
    """The weights that graphs are given or have, by name; each place once."""
    found = set()
    for name, spec in bundle.manifest.tables.items():
        row_bytes = spec.shape[1] * np.dtype(spec.dtype).itemsize
        found.add((name, _Stored(bundle.path(spec.file), spec.offset, row_bytes)))
    for graph in bundle.manifest.graphs.values():
        for name, value in ir.load(bundle.path(graph.file)).graph.initializers.items():
            tensor = value.const_value
            if not isinstance(tensor, ir.ExternalTensor):
                continue
            rows = next(iter(tensor.shape.numpy()), 0)
            if rows:
                path, row_bytes = bundle.path(str(tensor.location)), tensor.nbytes // rows
                found.add((name, _Stored(path, tensor.offset or 0, row_bytes)))
    return found


def _sum(*arrays: _Array) -> int:
    """Of the bytes of all, one after the other."""
    checksum = 0
    for array in arrays:
        rows = max(1, _BYTES // max(1, array[:1].nbytes))
        for start in range(0, len(array), rows):
            checksum = zlib.crc32(array[start : start + rows].tobytes(), checksum)
    return checksum
