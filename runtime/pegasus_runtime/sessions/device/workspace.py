"""All memory of a batch that is being decoded, bound to the decoder step once.

Dimensions: B documents, K beams, S source, T target positions, H heads, Dh head dim, L layers,
C candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pegasus_runtime.bundle import Bundle, TensorSpec
from pegasus_runtime.sessions.device.arrays import (
    PackedArrays,
    allocate_array,
    allocate_arrays,
)
from pegasus_runtime.sessions.device.protocol import Device, Graph, Rows, View
from pegasus_runtime.sessions.device.shapes import DecoderSizes

__all__ = ["Workspace"]

_CANDIDATES = ("top_scores", "top_ids", "log_normalizer")


class Workspace:
    """Inputs, caches and outputs of the steps of one batch, for one batch after another."""

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
        self.sizes = sizes
        self.is_spoilt = False
        """Whether something in it is not finite, which no mask can hide."""
        spec = bundle.manifest.graphs["decoder_step"]
        outputs = {x.name: x for x in spec.outputs}
        layers = bundle.manifest.architecture.decoder_layers
        self.inputs = PackedArrays(device, _input_arrays(sizes))
        """input_ids [B, K], position [1], cache_indirection [B, K, T]."""
        self.candidates = _pack_rows(device, sizes, outputs, *_CANDIDATES)
        """[B*K, C] twice, and [B*K, 1]."""
        self.scores = _pack_rows(device, sizes, outputs, "log_probs")
        """[B*K, V]."""
        new = outputs["new_self"]
        heads, head_dim = bundle.manifest.architecture.decoder_heads, _fixed(new.shape[-1])
        dtype = np.dtype(new.dtype)
        self.new_self = allocate_array(
            device, (2 * layers, sizes.batch, heads, sizes.beams, head_dim), dtype
        )
        past = [f"past_self_{kind}.{n}" for kind in ("key", "value") for n in range(layers)]
        past_shape = (sizes.batch, heads, sizes.time, sizes.beams, head_dim)
        self.past_self = allocate_arrays(device, past, past_shape, dtype)
        cross_shape = (sizes.batch, heads, sizes.source, head_dim)
        self.cross = allocate_arrays(
            device, bundle.manifest.architecture.cross_names, cross_shape, dtype
        )
        self.attention_mask = allocate_array(
            device, (sizes.batch, sizes.source), np.dtype(np.int64)
        )
        taken = {x.name for x in spec.inputs}
        views = {name: view for name, view in tables.items() if name in taken}
        views |= {**self.inputs.views, **self.candidates.views, **self.scores.views}
        views |= {**self.past_self, **self.cross, "new_self": self.new_self}
        self.prepared = graph.prepare({**views, "attention_mask": self.attention_mask})

    def append_keys(self, position: int) -> None:
        """Writes the keys and values that a step returned behind those before.

        One strided copy, unless there is room between the layers' arrays.
        """
        views = list(self.past_self.values())
        batch, heads, time, beams, head_dim = views[0].shape
        width = beams * head_dim * views[0].dtype.itemsize
        are_dense = views[-1].offset == (len(views) - 1) * views[0].num_bytes
        count = batch * heads * (len(views) if are_dense else 1)
        for number, view in enumerate(views[:1] if are_dense else views):
            source = Rows(
                buffer=self.new_self.buffer,
                offset=number * count * width,
                pitch=width,
                width=width,
                count=count,
            )
            target = Rows(
                buffer=view.buffer,
                offset=view.offset + position * width,
                pitch=time * width,
                width=width,
                count=count,
            )
            self.device.copy(source, target)


def _input_arrays(sizes: DecoderSizes) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    int32, int64 = np.dtype(np.int32), np.dtype(np.int64)
    return {
        "input_ids": ((sizes.batch, sizes.beams), int64),
        "position": ((1,), int64),
        "cache_indirection": ((sizes.batch, sizes.beams, sizes.time), int32),
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
