"""Engine over a device: the graphs of targets trt and trt-rtx, and of `ort` in fp16.

Everything a batch needs is allocated and bound before its first step, and kept for the next batch;
the keys of its tokens are written into memory that is there, and only candidates come back from a
step. Batches are padded to the sizes that plans were built for: documents that are not there, and
beams that the search does not ask for, are computed and not looked at.

- protocol.py   what a device must be able to do; `sessions/host`, `sessions/cuda` and
                `sessions/tensorrt` are the devices, and what runs on them
- shapes.py     the sizes that a batch runs at
- encoder.py    documents to what the decoder attends to
- workspace.py  a batch's memory
- decoder.py    one token after another

Dimensions: B documents, K beams, S source, T target positions.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from pegasus_runtime.bundle import Bundle, map_table
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.sessions.device.arrays import allocate_array
from pegasus_runtime.sessions.device.decoder import DeviceDecoding
from pegasus_runtime.sessions.device.encoder import DeviceEncoder
from pegasus_runtime.sessions.device.protocol import Device, Graph, NoMemoryError, View
from pegasus_runtime.sessions.device.shapes import DecoderSizes, fit_decoder
from pegasus_runtime.sessions.device.workspace import Workspace

__all__ = ["DeviceEngine", "is_device_bundle"]

_OUTPUTS = {"top_scores", "top_ids", "log_probs", "log_normalizer", "new_self"}
_PROFILE_SIZES = {
    "encoder": ("batch", "source"),
    "decoder_step": ("batch", "beams", "time", "source"),
}
_LEAST_KEPT = 4  # workspaces of batches that ended; of plans, one for each size that they have


def is_device_bundle(bundle: Bundle) -> bool:
    """Whether the bundle's graphs are for this engine, and not for `OrtEngine`."""
    step = bundle.manifest.graphs.get("decoder_step")
    return step is not None and "new_self" in {x.name for x in step.outputs}


class DeviceEngine:
    """A bundle loaded into a device; safe to use from several threads, which take turns."""

    def __init__(self, bundle: Bundle, device: Device, graphs: Mapping[str, Graph]) -> None:
        """Raises: EngineError; BundleError if the graphs are not such ones."""
        missing = _OUTPUTS - {x.name for x in bundle.manifest.graphs["decoder_step"].outputs}
        if missing:
            raise BundleError(
                f"{bundle.folder}: graph decoder_step lacks {min(missing)}: "
                "export the checkpoint again"
            )
        _check_profiles(bundle)
        self.bundle = bundle
        self.device = device
        self.plans = bundle.manifest.plans
        self.decoder_step = graphs["decoder_step"]
        self.tables = _upload_tables(bundle, device)
        self.encoder = DeviceEncoder(bundle, device, graphs["encoder"], self.tables)
        self.turn = threading.Lock()
        self._kept: list[Workspace] = []
        """The ones used last, last; for whoever has the turn."""
        self._most_kept = max(_LEAST_KEPT, _count_profiles(bundle, "decoder_step"))
        self._returned: deque[Workspace] = deque(maxlen=self._most_kept)
        """Of batches that ended since: appended to by finalizers, within any line of Python, and
        so without a lock."""

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> DeviceDecoding:
        """See `Engine.start`."""
        beams = rows_per_document if self.plans is None else self.plans.num_beams
        if rows_per_document > beams:
            raise EngineError(
                f"the bundle takes {beams} beams, got {rows_per_document}: ask for fewer, or "
                "export with --num-beams"
            )
        longest = max(self.encoder.padded_length(len(source)) for source in sources)
        wanted = DecoderSizes(batch=len(sources), beams=beams, source=longest, time=max_length)
        with self.turn:
            workspace = self._take_workspace(fit_decoder(self.plans, wanted))
            self._encode(sources, workspace, interrupt)
            self.device.upload(_source_mask(sources, workspace.sizes), workspace.attention_mask)
        decoding = DeviceDecoding(
            workspace,
            self.turn,
            batch=len(sources),
            rows_per_document=rows_per_document,
            vocab_size=self.bundle.manifest.architecture.vocab_size,
            make_room=self._give_back,
            interrupt=interrupt,
        )
        weakref.finalize(decoding, self._keep_workspace, workspace)
        return decoding

    def _encode(
        self,
        sources: Sequence[Sequence[int]],
        workspace: Workspace,
        interrupt: Interrupt | None,
    ) -> None:
        workspace.is_spoilt = True  # until a step says otherwise
        try:
            return self.encoder.encode(sources, workspace.encoded, interrupt)
        except NoMemoryError:
            if not self._give_back():
                raise
        # Outside of `except`, which holds on to what the first try had got.
        return self.encoder.encode(sources, workspace.encoded, interrupt)

    def _take_workspace(self, sizes: DecoderSizes) -> Workspace:
        """One that is kept, or a new one. Raises: EngineError."""
        while self._returned:
            self._kept.append(self._returned.popleft())
        del self._kept[: -self._most_kept]
        known = [workspace.sizes for workspace in self._kept]
        if sizes in known:
            return self._kept.pop(known.index(sizes))
        try:
            return self._make_workspace(sizes)
        except NoMemoryError:
            if not self._give_back():
                raise
        return self._make_workspace(sizes)

    def _make_workspace(self, sizes: DecoderSizes) -> Workspace:
        return Workspace(self.bundle, self.device, self.decoder_step, self.tables, sizes)

    def _give_back(self) -> bool:
        """Frees what is kept for later; whether there was anything."""
        had_any = bool(self._kept) | bool(self._returned) | self.encoder.give_back()
        self._kept.clear()
        self._returned.clear()
        return had_any

    def _keep_workspace(self, workspace: Workspace) -> None:
        """For the next batch of its sizes."""
        if not workspace.is_spoilt:
            self._returned.append(workspace)


def _check_profiles(bundle: Bundle) -> None:
    """Raises: BundleError if a profile has no range for a size that batches are fitted by."""
    plans = bundle.manifest.plans
    for graph, sizes in _PROFILE_SIZES.items():
        for index, profile in enumerate(() if plans is None else plans.profiles[graph]):
            if missing := set(sizes) - set(profile):
                raise BundleError(
                    f"manifest.json: plans.profiles.{graph}[{index}]: lacks {min(missing)}: "
                    "export the checkpoint again"
                )


def _count_profiles(bundle: Bundle, graph: str) -> int:
    plans = bundle.manifest.plans
    return 0 if plans is None else len(plans.profiles[graph])


def _source_mask(
    sources: Sequence[Sequence[int]], sizes: DecoderSizes
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """[B, S] int64, 1 = token; documents that are not there see one token, to stay finite."""
    mask = np.zeros((sizes.batch, sizes.source), dtype=np.int64)
    mask[len(sources) :, 0] = 1
    for row, source in enumerate(sources):
        mask[row, : len(source)] = 1
    return mask


def _upload_tables(bundle: Bundle, device: Device) -> dict[str, View]:
    """The matrices that graphs take as inputs, once for all of them."""
    views = {}
    for name, spec in bundle.manifest.tables.items():
        graphs = [bundle.manifest.graphs[graph] for graph in spec.graphs]
        if name not in {x.name for graph in graphs for x in graph.inputs}:
            continue
        rows = map_table(bundle, name)
        views[name] = allocate_array(device, spec.shape, rows.dtype)
        device.upload(rows, views[name])
    return views
