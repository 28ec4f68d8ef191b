"""Large activations, moved into the weights that read them: exact, and gentler on 8 bits.

A few channels of what a LayerNorm gives are far larger than the others, and a scale that all
channels share has little left for those. Its weight and bias are divided by a factor per channel,
and the columns of all matrices that read it are multiplied by the same: the products are what they
were, and the graph has no operator more.

The factor is sqrt(largest activation / largest weight) of the channel, which makes both equally
large. The decoder's last LayerNorm is left alone, as the head reads it.

Source: Xiao et al. 2023, "SmoothQuant" (arXiv:2211.10438), with alpha = 0.5.

Dimensions: N output channels, K input channels.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Smoothing", "find_readers", "find_smoothing"]

_NORMS: Mapping[str, Sequence[str]] = {
    "self_attn_layer_norm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "encoder_attn_layer_norm": ("encoder_attn.q_proj",),
    "final_layer_norm": ("fc1",),
}
"""LayerNorm of a layer -> what reads it there."""
_SOURCE_NORM = "model.encoder.layer_norm"
_SOURCE_READER = re.compile(r"model\.decoder\.layers\.\d+\.encoder_attn\.[kv]_proj$")
Float32 = npt.NDArray[np.float32]


def find_readers(weights: Collection[str]) -> dict[str, list[str]]:
    """LayerNorm -> all linear layers that read it, and nothing else does; by names of modules."""
    modules = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    known, readers = frozenset(modules), {}
    for module in modules:
        parent, _, kind = module.rpartition(".")
        if module == _SOURCE_NORM:
            found = [each for each in modules if _SOURCE_READER.match(each)]
        else:
            found = [name for each in _NORMS.get(kind, ()) if (name := f"{parent}.{each}") in known]
        if found:
            readers[module] = found
    return readers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smoothing:
    """Factors per channel, and what they leave of the activations."""

    divided: Mapping[str, Float32]
    """LayerNorm -> [K] what its weight and bias are divided by."""
    multiplied: Mapping[str, Float32]
    """Linear layer -> [K] what the columns of its weight are multiplied by."""
    largest: Mapping[str, float]
    """Linear layer -> the largest magnitude that it reads then; of all that were looked at."""

    def apply(self, name: str, array: Float32) -> Float32:
        """One weight of the network as it is with the factors."""
        module, _, kind = name.rpartition(".")
        if module in self.divided:
            return array / self.divided[module]
        if kind == "weight" and module in self.multiplied:
            return array * self.multiplied[module]
        return array


def find_smoothing(weights: Mapping[str, Float32], largest: Mapping[str, Float32]) -> Smoothing:
    """The factors for a network's weights.

    largest: linear layer -> [K] largest magnitude of each input channel; LayerNorms whose readers
    are not all among them get no factors.
    """
    divided: dict[str, Float32] = {}
    multiplied: dict[str, Float32] = {}
    for norm, readers in find_readers(weights).items():
        if not all(reader in largest for reader in readers):
            continue
        columns = np.max([np.abs(weights[f"{each}.weight"]).max(axis=0) for each in readers], 0)
        divided[norm] = _factor(np.max([largest[each] for each in readers], axis=0), columns)
        multiplied |= dict.fromkeys(readers, divided[norm])
    one = np.ones(1, dtype=np.float32)
    return Smoothing(
        divided=divided,
        multiplied=multiplied,
        largest={
            module: float((array / multiplied.get(module, one)).max(initial=0))
            for module, array in largest.items()
        },
    )


def _factor(activations: Float32, columns: Float32) -> Float32:
    """[K]; 1 for channels that are always zero, on either side."""
    is_alive = (activations > 0) & (columns > 0)
    ratio = np.divide(activations, columns, out=np.ones_like(columns), where=is_alive)
    factor: Float32 = np.sqrt(ratio).astype(columns.dtype)
    return factor
