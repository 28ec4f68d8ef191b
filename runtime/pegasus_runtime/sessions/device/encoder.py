"""Documents to what the decoder attends to: as many at a time as plans take.

Dimensions: B documents, S source, H heads, Dh head dim, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Architecture, Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.device.arrays import PackedArrays, allocate_arrays
from pegasus_runtime.sessions.device.encoder_groups import EncoderGroup, group_sources
from pegasus_runtime.sessions.device.protocol import Device, Graph, PreparedRun, Rows, View
from pegasus_runtime.sessions.device.seen_blocks import SeenBlocks, see_blocks
from pegasus_runtime.sessions.device.shapes import BlockRule, fit_encoder, largest_encoder_batch

__all__ = ["DeviceEncoder", "Encoded"]

_TOKENS = ("input_ids", "attention_mask")
_LEAST_KEPT = 4  # sizes whose memory is kept for the next documents; all of those that plans have

_Sizes = tuple[int, int, int]
"""Documents, tokens, and blocks that a block sees."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """Where encoded documents are to be.

    cross: cross_key.{l} and cross_value.{l} [B, H, S, Dh] of all layers.
    """

    cross: Mapping[str, View]
    runs: dict[_Sizes, tuple[PackedArrays, PreparedRun]] = field(default_factory=dict)
    """Those that write there, and what they read."""

    @property
    def shape(self) -> tuple[int, int]:
        """B and S."""
        batch, _, longest, _ = next(iter(self.cross.values())).shape
        return batch, longest


@dataclass(slots=True, kw_only=True)
class _Workspace:
    """What it takes to encode documents at one size."""

    inputs: PackedArrays
    """input_ids and attention_mask [B, S] int64; of sparse attention, what `SeenBlocks` says."""
    encoded: Encoded | None = None
    """Memory of its own, for documents that are not written where they are to be."""


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
        self._workspaces: dict[_Sizes, _Workspace] = {}
        plans = manifest.plans
        sizes = 0 if plans is None else len(plans.profiles["encoder"])
        self._most_kept = max(_LEAST_KEPT, sizes)

    def padded_length(self, length: int) -> int:
        """At how many tokens a document of this length is encoded. Raises: EngineError."""
        return fit_encoder(self.manifest.plans, length, blocks=self.blocks)

    def encode(
        self,
        sources: Sequence[Sequence[int]],
        encoded: Encoded,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Encodes documents into the first rows of `encoded`.

        S there is at least the documents' padded length; what is behind stays as it is, and what is
        in other rows may be anything that is finite. Raises: EngineError, and what interrupts it.
        """
        lengths = [self.padded_length(len(source)) for source in sources]
        for group in group_sources(lengths, self._largest_batch):
            self._encode([sources[row] for row in group.rows], group, encoded, interrupt)

    def give_back(self) -> bool:
        """Frees the memory that is kept for the next documents; whether there was any."""
        had_any = bool(self._workspaces)
        self._workspaces.clear()
        return had_any

    def _largest_batch(self, length: int) -> int:
        return largest_encoder_batch(self.manifest.plans, length)

    def _encode(
        self,
        sources: Sequence[Sequence[int]],
        group: EncoderGroup,
        encoded: Encoded,
        interrupt: Interrupt | None,
    ) -> None:
        seen = None
        if self.blocks is not None and self.is_told:
            num_blocks = group.length // self.blocks.block_size
            seen = see_blocks(self.manifest.architecture, num_blocks, tokens=len(sources[0]))
        sizes = group.batch, group.length, 0 if seen is None else seen.blocks.shape[1]
        workspace = self._workspace(sizes)
        arrays = workspace.inputs.arrays
        arrays["input_ids"][...] = self.manifest.token_ids.pad_token_id
        arrays["attention_mask"][...] = 0
        arrays["attention_mask"][len(sources) :, 0] = 1  # documents that are not there stay finite
        for row, source in enumerate(sources):
            arrays["input_ids"][row, : len(source)] = source
            arrays["attention_mask"][row, : len(source)] = 1
        if seen is not None:
            self._fill_seen(arrays, seen)
        workspace.inputs.upload()
        in_place = encoded.shape == sizes[:2] and group.rows == tuple(range(len(sources)))
        if not in_place and workspace.encoded is None:
            workspace.encoded = self._make_encoded(sizes)
        target = encoded if in_place or workspace.encoded is None else workspace.encoded
        self._prepared(workspace.inputs, sizes, target).run(interrupt)
        if target is not encoded:
            for index, row in enumerate(group.rows):
                self._copy(target, index, encoded, row)

    def _prepared(self, inputs: PackedArrays, sizes: _Sizes, encoded: Encoded) -> PreparedRun:
        """The run from these inputs to there."""
        known = encoded.runs.get(sizes)
        if known is not None and known[0] is inputs:
            return known[1]
        taken = {x.name for x in self.manifest.graphs["encoder"].inputs}
        views = {name: view for name, view in self.tables.items() if name in taken}
        run = self.graph.prepare({**views, **inputs.views, **encoded.cross})
        encoded.runs[sizes] = inputs, run
        return run

    def _copy(self, source: Encoded, index: int, target: Encoded, row: int) -> None:
        """One document of [b, H, s, Dh] into one of [B, H, S, Dh], at the first s tokens."""
        for name, encoded in source.cross.items():
            cross = target.cross[name]
            _, heads, longest, head_dim = cross.shape
            token_bytes = head_dim * cross.dtype.itemsize
            width, pitch = encoded.shape[2] * token_bytes, longest * token_bytes
            self.device.copy(
                Rows(
                    buffer=encoded.buffer,
                    offset=encoded.offset + index * heads * width,
                    pitch=width,
                    width=width,
                    count=heads,
                ),
                Rows(
                    buffer=cross.buffer,
                    offset=cross.offset + row * heads * pitch,
                    pitch=pitch,
                    width=width,
                    count=heads,
                ),
            )

    def _workspace(self, sizes: _Sizes) -> _Workspace:
        """That of the last documents of this size, or a new one."""
        known = self._workspaces.pop(sizes, None)
        if known is None and len(self._workspaces) == self._most_kept:
            del self._workspaces[next(iter(self._workspaces))]  # the one that waited longest
        found = known or _Workspace(inputs=self._make_inputs(sizes))
        self._workspaces[sizes] = found
        return found

    def _make_encoded(self, sizes: _Sizes) -> Encoded:
        facts = self.manifest.architecture
        dtype = np.dtype(self.manifest.graphs["encoder"].outputs[0].dtype)
        shape = (sizes[0], facts.decoder_heads, sizes[1], facts.head_dim)
        return Encoded(cross=allocate_arrays(self.device, self.names, shape, dtype))

    def _make_inputs(self, sizes: _Sizes) -> PackedArrays:
        batch, length, num_seen = sizes
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_TOKENS, (batch, length))
        if self.blocks is not None:
            num_middle = length // self.blocks.block_size - 2
            shapes |= dict.fromkeys(("seen_blocks", "seen_bias"), (num_middle, num_seen))
            shapes["last_random"] = (1,)
        taken = {x.name: np.dtype(x.dtype) for x in self.manifest.graphs["encoder"].inputs}
        return PackedArrays(
            self.device,
            {name: (shape, taken[name]) for name, shape in shapes.items() if name in taken},
        )

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
