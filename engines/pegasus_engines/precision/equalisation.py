"""Large activations, moved into the weights that read them: exact, and gentler on few bits.

Where one module writes what linear layers alone read, a channel of it can be divided by a factor
and the columns that read it multiplied by the same: the products are what they were, and the graph
has no operator more. That is so behind

    a LayerNorm             whatever reads it in its layer; but the head, whose matrix also embeds
    v_proj                  out_proj, as attention averages values
    fc1                     fc2, where the activation lets a positive factor through (ReLU)

A few channels are far larger than the others, and a scale that all channels share has little left
for those. The factor is sqrt(largest activation / largest weight) of the channel, which makes both
equally large; divided by the median of all, which leaves the size of most channels as it is. It is
the nearest power of two, which changes no digit of a floating point number: in fp32 the function is
the same, bit by bit.

Seldom activations are not seen in a few documents. So the largest activation is at least what the
weights make of a LayerNorm's row of four standard deviations.

Sources: Xiao et al. 2023, "SmoothQuant" (arXiv:2211.10438), with alpha = 0.5; Nagel et al. 2019,
"Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv:1906.04721).

Dimensions: N output channels, K input channels.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Equalisation", "EqualisedWeights", "find_equalisation", "find_readers"]

_NORMS: Mapping[str, Sequence[str]] = {
    "self_attn_layer_norm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "encoder_attn_layer_norm": ("encoder_attn.q_proj",),
    "final_layer_norm": ("fc1",),
}
"""LayerNorm of a layer -> what reads it there."""
_BESIDE: Mapping[str, str] = {"self_attn_layer_norm": "global_self_attn_layer_norm"}
"""LayerNorm of a layer -> the one of other rows that the same modules read, in PEGASUS-X."""
_SOURCE_NORM = "model.encoder.layer_norm"
_SOURCE_READER = re.compile(r"model\.decoder\.layers\.\d+\.encoder_attn\.[kv]_proj$")
_HANDED_OUT = re.compile(r"model\.(encoder\.layer_norm|decoder\.layers\.\d+\.\w+_attn\.v_proj)$")
_DEVIATIONS = np.float32(4)
_LEAST_WEIGHT = 2.0**-10  # relative to the row's largest: what is less is as good as not read
_MOST_BITS = 24
Float32 = npt.NDArray[np.float32]


def find_readers(weights: Collection[str], *, through_activation: bool) -> dict[str, list[str]]:
    """Module -> all linear layers that read it, and nothing else does; by names of modules.

    through_activation: whether f(a x) = a f(x) for the activation between fc1 and fc2 and a > 0.
    """
    modules = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    known, readers = frozenset(modules), {}
    for module in modules:
        parent, _, kind = module.rpartition(".")
        if module == _SOURCE_NORM:
            found = [each for each in modules if _SOURCE_READER.match(each)]
        elif kind == "v_proj":
            found = [f"{parent}.out_proj"]
        elif kind == "fc1" and through_activation:
            found = [f"{parent}.fc2"]
        else:
            found = [f"{parent}.{each}" for each in _NORMS.get(kind, ())]
        found = [each for each in found if each in known]
        if found:
            readers[module] = found
    return readers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equalisation:
    """Factors per channel."""

    divided: Mapping[str, Float32] = field(default_factory=dict)
    """LayerNorm -> [K], linear layer -> [N]: what its weight and bias are divided by; without those
    whose channels all stay as they are."""
    multiplied: Mapping[str, Float32] = field(default_factory=dict)
    """Linear layer -> [K] what the columns of its weight are multiplied by."""

    def apply(self, name: str, array: Float32) -> Float32:
        """One weight of the network as it is with the factors; the very same if it has none."""
        module, _, kind = name.rpartition(".")
        if module in self.divided:
            factor = self.divided[module]
            array = array / (factor[:, None] if array.ndim > 1 else factor)
        if kind == "weight" and module in self.multiplied:
            array = array * self.multiplied[module]
        return array

    @property
    def channels(self) -> int:
        """How many channels have a factor."""
        return sum(int(np.count_nonzero(factor != 1)) for factor in self.divided.values())

    @property
    def largest_bits(self) -> int:
        """The largest factor, up or down, as a power of two."""
        bits = (np.abs(np.log2(factor)).max(initial=0) for factor in self.divided.values())
        return int(max(bits, default=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EqualisedWeights(Mapping[str, Float32]):
    """A network's weights as they are with the factors, each computed when it is asked for."""

    weights: Mapping[str, Float32]
    equalisation: Equalisation

    def __getitem__(self, name: str) -> Float32:
        """A weight by its name."""
        return self.equalisation.apply(name, self.weights[name])

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the network."""
        return iter(self.weights)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.weights)


def find_equalisation(
    weights: Mapping[str, Float32],
    largest: Mapping[str, Float32],
    *,
    through_activation: bool,
    hands_out_states: bool = False,
) -> Equalisation:
    """The factors for a network's weights.

    largest: linear layer -> [K] largest magnitude of each input channel, of those that were looked
    at. through_activation: see `find_readers`. hands_out_states: whether others see what the
    encoder hands out, and the values that the decoder attends to, which then keep their size.
    """
    divided: dict[str, Float32] = {}
    multiplied: dict[str, Float32] = {}
    readers = find_readers(weights, through_activation=through_activation)
    writers = {reader: writer for writer, found in readers.items() for reader in found}
    for writer, found in readers.items():
        if hands_out_states and _HANDED_OUT.match(writer):
            continue
        seen = [largest[each] for each in found if each in largest]
        together = [writer, *_beside(weights, writer)]
        expected = [_expected(weights, each, writers) for each in together]
        activations = np.max([*expected, *seen], axis=0)
        columns = np.max([_columns(weights[f"{each}.weight"]) for each in found], axis=0)
        factor = _factor(activations, columns)
        if (factor != 1).any():
            divided |= dict.fromkeys(together, factor)
            multiplied |= dict.fromkeys(found, factor)
    return Equalisation(divided=divided, multiplied=multiplied)


def _beside(weights: Collection[str], writer: str) -> list[str]:
    """What else the readers of a module read, so that it has the same factors."""
    parent, _, kind = writer.rpartition(".")
    name = f"{parent}.{_BESIDE.get(kind)}"
    return [name] if f"{name}.weight" in weights else []


def _expected(weights: Mapping[str, Float32], writer: str, writers: Mapping[str, str]) -> Float32:
    """[N] how large a module's outputs get for a LayerNorm's row of four standard deviations.

    writers: module -> what it reads.
    """
    matrix = weights[f"{writer}.weight"]
    bias = weights.get(f"{writer}.bias", np.zeros(len(matrix), dtype=np.float32))
    if matrix.ndim == 1:  # a LayerNorm
        return np.abs(bias) + _DEVIATIONS * np.abs(matrix)
    norm = writers.get(writer)
    if norm is None:
        return np.abs(bias)
    scale, shift = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
    spread = _DEVIATIONS * np.sqrt(np.square(matrix) @ np.square(scale))
    expected: Float32 = np.abs(matrix @ shift + bias) + spread
    return expected


def _columns(matrix: Float32) -> Float32:
    """[N, K] -> [K] the largest of a column, each row being relative to its own largest."""
    rows = np.abs(matrix)
    largest = rows.max(axis=1, keepdims=True)
    columns: Float32 = np.divide(rows, largest, out=rows, where=largest > 0).max(axis=0)
    return columns


def _factor(activations: Float32, columns: Float32) -> Float32:
    """[K] powers of two, whose median is about 1; 1 for channels that are always zero."""
    is_alive = activations > 0
    if not is_alive.any():
        return np.ones_like(columns)
    ratio = activations[is_alive] / np.maximum(columns[is_alive], np.float32(_LEAST_WEIGHT))
    bits = np.zeros_like(columns)
    bits[is_alive] = np.log2(ratio) / 2
    bits[is_alive] -= np.median(bits[is_alive])
    factor: Float32 = np.exp2(np.clip(np.rint(bits), -_MOST_BITS, _MOST_BITS)).astype(columns.dtype)
    return factor
