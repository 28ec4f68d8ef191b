"""All memory of a batch that is being decoded, bound to the decoder step once.

Dimensions: B documents, K beams, S source, T target positions, H heads, Dh head dim, L layers,
C candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pegasus_runtime.bundle import Bundle, TensorSpec
from pegasus_runtime.sessions.device.arrays import (
    PackedArrays,
    allocate_array,
    allocate_arrays,
)
from pegasus_runtime.sessions.device.encoder import Encoded
from pegasus_runtime.sessions.device.protocol import Device, Graph, PreparedRun, Rows, View
from pegasus_runtime.sessions.device.shapes import DecoderSizes

__all__ = ["Cache", "Workspace"]

_CANDIDATES = ("top_scores", "top_ids", "log_normalizer")


class Workspace:
    """Inputs, caches and outputs of the steps of one batch, for one batch after another.

    The cache begins short, as a step reads all of it, and is followed by longer ones.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: Device,
        graph: Graph,
        tables: Mapping[str, View],
        sizes: DecoderSizes,
    ) -> None:
        """Raises: EngineError."""
        self.device = device
        self.graph = graph
        self.sizes = sizes
        self.is_spoilt = False
        """Whether something in it may not be finite, which no mask hides: then it is not kept."""
        spec = bundle.manifest.graphs["decoder_step"]
        facts = bundle.manifest.architecture
        outputs = {x.name: x for x in spec.outputs}
        self.candidates = _pack_rows(device, sizes, outputs, *_CANDIDATES)
        """[B*K, C] twice, and [B*K, 1]."""
        self.scores = _pack_rows(device, sizes, outputs, "log_probs")
        """[B*K, V]."""
        new = outputs["new_self"]
        self.heads, self.head_dim = facts.decoder_heads, _fixed(new.shape[-1])
        self.layers, self.dtype = facts.decoder_layers, np.dtype(new.dtype)
        new_shape = (2 * self.layers, sizes.batch, self.heads, sizes.beams, self.head_dim)
        self.new_self = allocate_array(device, new_shape, self.dtype)
        self._new_keys = self._split(self.new_self)
        cross_shape = (sizes.batch, self.heads, sizes.source, self.head_dim)
        self.encoded = Encoded(
            cross=allocate_arrays(device, facts.cross_names, cross_shape, self.dtype)
        )
        self.attention_mask = allocate_array(
            device, (sizes.batch, sizes.source), np.dtype(np.int64)
        )
        taken = {x.name for x in spec.inputs}
        self._views = {name: view for name, view in tables.items() if name in taken}
        self._views |= {**self.candidates.views, **self.scores.views, **self.encoded.cross}
        self._views |= {"new_self": self.new_self, "attention_mask": self.attention_mask}
        self._caches: dict[int, Cache] = {}
        self.cache_for(0)

    def cache_for(self, position: int) -> Cache:
        """The shortest cache that has room for a token at this position. Raises: EngineError."""
        time = next(x for x in self.sizes.times if x > position)
        if time not in self._caches:
            self._caches[time] = self._make_cache(time)
        return self._caches[time]

    def _make_cache(self, time: int) -> Cache:
        sizes = self.sizes
        inputs = PackedArrays(self.device, _input_arrays(sizes, time))
        shape = (sizes.batch, self.heads, time, sizes.beams, self.head_dim)
        past = allocate_arrays(self.device, list(self._new_keys), shape, self.dtype)
        prepared = self.graph.prepare({**self._views, **inputs.views, **past})
        return Cache(self.device, inputs, past, prepared)

    def append_keys(self, cache: Cache, position: int) -> None:
        """Writes the keys and values that a step returned behind those before."""
        cache.write(self._new_keys, position, count=1)

    def _split(self, new_self: View) -> dict[str, View]:
        """[2L, B, H, K, Dh] as the keys and values [B, H, 1, K, Dh] of a token in every layer."""
        count, *shape = new_self.shape
        names = [f"past_self_{kind}.{n}" for kind in ("key", "value") for n in range(self.layers)]
        return {
            name: View(
                buffer=new_self.buffer,
                shape=(*shape[:2], 1, *shape[2:]),
                dtype=new_self.dtype,
                offset=number * new_self.num_bytes // count,
            )
            for number, name in enumerate(names)
        }


class Cache:
    """Tokens so far, and their keys and values, at one length T; what a step is given, bound.

    inputs: input_ids [B, K], position [1], cache_indirection [B, K, T]. past: past_self_key.{l} and
    past_self_value.{l} [B, H, T, K, Dh] of all layers.
    """

    def __init__(
        self,
        device: Device,
        inputs: PackedArrays,
        past: Mapping[str, View],
        prepared: PreparedRun,
    ) -> None:
        self._device = device
        self.inputs = inputs
        self.past = past
        self.prepared = prepared
        self.length = inputs.arrays["cache_indirection"].shape[-1]

    def take_over(self, shorter: Cache, length: int) -> None:
        """Has what a shorter one holds of the first `length` tokens."""
        indirection = self.inputs.arrays["cache_indirection"]
        indirection[...] = -1
        indirection[:, :, :length] = shorter.inputs.arrays["cache_indirection"][:, :, :length]
        self.write(shorter.past, 0, count=length)

    def write(self, source: Mapping[str, View], position: int, *, count: int) -> None:
        """The first `count` tokens of each of `source` [B, H, t, K, Dh], from a position on.

        One strided copy, unless there is room between the layers' arrays.
        """
        ours, theirs = list(self.past.values()), list(source.values())
        are_dense = all(_is_dense(views) for views in (ours, theirs))
        arrays = len(ours) if are_dense else 1
        for our, their in zip(ours[:1] if are_dense else ours, theirs, strict=False):
            batch, heads, time, beams, head_dim = our.shape
            token = beams * head_dim * our.dtype.itemsize
            rows = batch * heads * arrays
            width = count * token
            self._device.copy(
                Rows(
                    buffer=their.buffer,
                    offset=their.offset,
                    pitch=their.shape[2] * token,
                    width=width,
                    count=rows,
                ),
                Rows(
                    buffer=our.buffer,
                    offset=our.offset + position * token,
                    pitch=time * token,
                    width=width,
                    count=rows,
                ),
            )


def _is_dense(views: Sequence[View]) -> bool:
    """Whether arrays lie behind each other without room between them."""
    first, last = views[0], views[-1]
    return last.offset - first.offset == (len(views) - 1) * first.num_bytes


def _input_arrays(
    sizes: DecoderSizes, time: int
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    int32, int64 = np.dtype(np.int32), np.dtype(np.int64)
    return {
        "input_ids": ((sizes.batch, sizes.beams), int64),
        "position": ((1,), int64),
        "cache_indirection": ((sizes.batch, sizes.beams, time), int32),
    }


def _pack_rows(
    device: Device, sizes: DecoderSizes, outputs: Mapping[str, TensorSpec], *names: str
) -> PackedArrays:
    """Outputs with a row per beam."""
    rows = sizes.batch * sizes.beams
    specs = {name: outputs[name] for name in names}
    return PackedArrays(
        device,
        {
            name: ((rows, _fixed(spec.shape[1])), np.dtype(spec.dtype))
            for name, spec in specs.items()
        },
    )


def _fixed(size: int | str) -> int:
    assert isinstance(size, int)
    return size
