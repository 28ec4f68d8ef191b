"""Documents to what the decoder attends to, one at a time.

Dimensions: B documents, S source, H heads, Dh head dim, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Architecture, Bundle
from pegasus_runtime.sessions.device.arrays import PackedArrays, allocate_arrays
from pegasus_runtime.sessions.device.protocol import Device, Graph, PreparedRun, Rows, View
from pegasus_runtime.sessions.device.seen_blocks import SeenBlocks, see_blocks
from pegasus_runtime.sessions.device.shapes import BlockRule, fit_encoder

__all__ = ["DeviceEncoder"]

_TOKENS = ("input_ids", "attention_mask")
_LEAST_KEPT = (
    4  # lengths whose memory is kept for the next document; of plans, as many as they have
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Workspace:
    """What it takes to encode a document at one length."""

    inputs: PackedArrays
    """input_ids and attention_mask [1, S] int64; of sparse attention, what `SeenBlocks` says."""
    cross: Mapping[str, View]
    """cross_key.{l} and cross_value.{l} [1, H, S, Dh]."""
    prepared: PreparedRun


class DeviceEncoder:
    """Graph `encoder`; for one thread at a time."""

    def __init__(
        self,
        bundle: Bundle,
        device: Device,
        graph: Graph,
        tables: Mapping[str, View],
    ) -> None:
        manifest = bundle.manifest
        self.device = device
        self.graph = graph
        self.tables = tables
        self.manifest = manifest
        self.names = bundle.manifest.architecture.cross_names
        self.blocks = _block_rule(manifest.architecture)
        self.is_told = any(x.name == "seen_blocks" for x in manifest.graphs["encoder"].inputs)
        """Whether it is told which blocks are seen; a plugin knows."""
        self._workspaces: dict[tuple[int, int], _Workspace] = {}
        plans = manifest.plans
        lengths = 0 if plans is None else len(plans.profiles["encoder"])
        self._most_kept = max(_LEAST_KEPT, lengths)

    def padded_length(self, length: int) -> int:
        """At how many tokens a document of this length is encoded. Raises: EngineError."""
        return fit_encoder(self.manifest.plans, length, blocks=self.blocks)

    def encode(self, source: Sequence[int], cross: Mapping[str, View], row: int) -> None:
        """Encodes a document, and copies what comes out into a row of each of `cross`.

        cross: cross_key.{l} and cross_value.{l} [B, H, S, Dh] of all layers. S is at least the
        document's padded length; what is behind stays as it is.
        Raises: EngineError.
        """
        length = self.padded_length(len(source))
        seen = None
        if self.blocks is not None and self.is_told:
            num_blocks = length // self.blocks.block_size
            seen = see_blocks(self.manifest.architecture, num_blocks, tokens=len(source))
        workspace = self._workspace(length, 0 if seen is None else seen.blocks.shape[1])
        arrays = workspace.inputs.arrays
        arrays["input_ids"][...] = self.manifest.token_ids.pad_token_id
        arrays["attention_mask"][...] = 0
        arrays["input_ids"][0, : len(source)] = source
        arrays["attention_mask"][0, : len(source)] = 1
        if seen is not None:
            self._fill_seen(arrays, seen)
        workspace.inputs.upload()
        workspace.prepared.run()
        for name, encoded in workspace.cross.items():
            self._copy(encoded, cross[name], row)

    def give_back(self) -> bool:
        """Frees the memory that is kept for the next documents; whether there was any."""
        had_any = bool(self._workspaces)
        self._workspaces.clear()
        return had_any

    def _copy(self, encoded: View, cross: View, row: int) -> None:
        """[1, H, s, Dh] into [B, H, S, Dh], at one document and the first s tokens."""
        _, heads, longest, head_dim = cross.shape
        token_bytes = head_dim * cross.dtype.itemsize
        width, pitch = encoded.shape[2] * token_bytes, longest * token_bytes
        source = Rows(
            buffer=encoded.buffer, offset=encoded.offset, pitch=width, width=width, count=heads
        )
        target = Rows(
            buffer=cross.buffer,
            offset=cross.offset + row * heads * pitch,
            pitch=pitch,
            width=width,
            count=heads,
        )
        self.device.copy(source, target)

    def _workspace(self, length: int, num_seen: int) -> _Workspace:
        """That of the last documents of this length, or a new one."""
        known = self._workspaces.pop((length, num_seen), None)
        if known is None and len(self._workspaces) == self._most_kept:
            del self._workspaces[next(iter(self._workspaces))]  # the one that waited longest
        found = known or self._make_workspace(length, num_seen)
        self._workspaces[length, num_seen] = found
        return found

    def _make_workspace(self, length: int, num_seen: int) -> _Workspace:
        facts, spec = self.manifest.architecture, self.manifest.graphs["encoder"]
        dtype = np.dtype(spec.outputs[0].dtype)
        cross_shape = (1, facts.decoder_heads, length, facts.head_dim)
        cross = allocate_arrays(self.device, self.names, cross_shape, dtype)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_TOKENS, (1, length))
        if self.blocks is not None:
            num_middle = length // self.blocks.block_size - 2
            shapes |= dict.fromkeys(("seen_blocks", "seen_bias"), (num_middle, num_seen))
            shapes["last_random"] = (1,)
        taken = {x.name: np.dtype(x.dtype) for x in spec.inputs}
        inputs = PackedArrays(
            self.device,
            {name: (shape, taken[name]) for name, shape in shapes.items() if name in taken},
        )
        views = {name: view for name, view in self.tables.items() if name in taken}
        views |= {**inputs.views, **cross}
        return _Workspace(inputs=inputs, cross=cross, prepared=self.graph.prepare(views))

    def _fill_seen(self, arrays: Mapping[str, npt.NDArray[Any]], seen: SeenBlocks) -> None:
        bias = arrays["seen_bias"]
        arrays["seen_blocks"][...] = seen.blocks
        bias[...] = np.maximum(seen.bias, np.finfo(bias.dtype).min)
        if "last_random" in arrays:
            arrays["last_random"][...] = seen.last_random


def _block_rule(facts: Architecture) -> BlockRule | None:
    longest_full = facts.longest_full
    if longest_full is None:
        return None
    assert facts.block_size is not None
    return BlockRule(block_size=facts.block_size, longest_full=longest_full)
