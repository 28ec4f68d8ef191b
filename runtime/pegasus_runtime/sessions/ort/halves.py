"""Keys and values as halves, two in each word, where kernels keep them so.

Halves are IEEE's; of the source, bfloat16 where a processor multiplies that.

The graphs of int8 and int4 bundles leave open how many words a head has: as many as its numbers in
ONNX Runtime's own operators, half as many where the kernels that write and read them are
registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pegasus_runtime.native.kernels import find_kernels

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["KERNELS_WORDS", "SOURCE", "TARGET", "as_floats", "as_words", "head_words"]

KERNELS_WORDS = "head_words_5"
"""What a graph calls that dimension, with the version of the kernels' domain that it asks for. Of a
graph that asks for another, kernels take no operator."""

SOURCE = frozenset({"KeepSource", "SourceAttention"})
"""What writes and reads keys and values of the source."""
TARGET = frozenset({"BeamAttention"})
"""And of the tokens decoded so far."""


def head_words(
    session: onnxruntime.InferenceSession, name: str, head_dim: int, operators: frozenset[str]
) -> int:
    """How many words the last dimension of an output has, in a session that was just loaded.

    operators: `SOURCE` or `TARGET`.
    """
    (output,) = (each for each in session.get_outputs() if each.name == name)
    if output.shape[-1] != KERNELS_WORDS:
        return head_dim
    kernels = find_kernels()
    return head_dim // 2 if kernels and kernels.operators >= operators else head_dim


def as_floats(array: npt.NDArray[np.float32], head_dim: int) -> npt.NDArray[np.float32]:
    """[..., words] of the source -> [..., Dh]: the numbers that are kept."""
    if array.shape[-1] == head_dim:
        return array
    kernels = find_kernels()
    if kernels and kernels.keep_bfloat16:
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.view(np.float16).astype(np.float32)


def as_words(array: npt.NDArray[np.float32], words: int) -> npt.NDArray[np.float32]:
    """[..., Dh] of the target -> [..., words]: halves where there are fewer words than numbers."""
    if array.shape[-1] == words:
        return array
    return array.astype(np.float16).view(np.float32)
