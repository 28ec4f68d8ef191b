"""The residual stream at another scale, so that fp16 holds it.

"FP16 is not supported", says the model's own documentation: the residual stream of its encoder
exceeds 65504, the largest number of fp16. But whatever reads that stream reads it through a
LayerNorm, which does not see a factor. So everything that writes into the stream is scaled by 2^-k:
embedding (by the graph's factor, its table is the head's too), positions, global tokens, and
weights and biases of out_proj and fc2; and the LayerNorms' eps by 2^-2k. A power of two changes no
digit of a floating point number: in fp32 the function is the same, bit by bit, and in fp16 nothing
overflows.

What becomes of a graph is in `passes/shift_residual.py`, which also looks whether what these names
say is what the graph does.

Source of the observation: transformers issues 11289 and 12225.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_engines.network import GLOBAL_TOKENS, POSITIONS

__all__ = ["NO_SHIFT", "ResidualShift", "writes_residual"]

_WRITERS = (".self_attn.out_proj", ".encoder_attn.out_proj", ".fc2")
"""Of a layer: the modules whose outputs are added to the stream."""
Float32 = npt.NDArray[np.float32]


def writes_residual(name: str) -> bool:
    """Whether what this weight computes is added to the residual stream."""
    return name in (*POSITIONS, GLOBAL_TOKENS) or name.rpartition(".")[0].endswith(_WRITERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualShift:
    """The stream is 2^-bits of the checkpoint's."""

    bits: int

    @property
    def factor(self) -> float:
        """2^-bits."""
        return 2.0**-self.bits

    def scale_weight(self, name: str, array: Float32) -> Float32:
        """One weight of the network; the very same array if it does not write into the stream."""
        if not self.bits or not writes_residual(name):
            return array
        return array * np.float32(self.factor)

    def scale_embedding(self, factor: float) -> float:
        """What the graph multiplies embedded tokens by."""
        return factor * self.factor

    def scale_epsilon(self, epsilon: float) -> float:
        """What a LayerNorm adds to the variance of the stream."""
        return epsilon * self.factor**2


NO_SHIFT = ResidualShift(bits=0)
"""The stream as the checkpoint has it."""
