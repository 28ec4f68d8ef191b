"""Weights in half precision; see `residual_shift.py` for how it is exact.

LayerNorm takes and gives fp16 and computes in fp32 inside (`stash_type`), as do softmax and the
accumulation of products in the engines; log-softmax and what follows it are fp32 in the graph
(`passes/halve_graph.py`).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pegasus_engines.precision.residual_shift import ResidualShift

__all__ = ["LARGEST_HALF", "HalfRangeError", "half_weights", "to_half"]

LARGEST_HALF = float(np.finfo(np.float16).max)
Float32 = npt.NDArray[np.float32]
Float16 = npt.NDArray[np.float16]


class HalfRangeError(ValueError):
    """A weight that fp16 cannot hold."""


def half_weights(
    weights: Mapping[str, Float32], shift: ResidualShift
) -> Iterator[tuple[str, Float16]]:
    """Weights by name -> (name, float16 array), those that write the residual stream scaled.

    Raises: HalfRangeError.
    """
    for name, array in weights.items():
        yield name, to_half(name, shift.scale_weight(name, array))


def to_half(name: str, array: Float32) -> Float16:
    """One weight. Raises: HalfRangeError."""
    largest = float(np.abs(array).max(initial=0))
    if not largest <= LARGEST_HALF:
        raise HalfRangeError(
            f"{name} has a value of {largest:.3g}, the largest of fp16 is {LARGEST_HALF:g}"
        )
    return array.astype(np.float16)
