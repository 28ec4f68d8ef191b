"""Engine on ONNX Runtime: the graphs of target `ort`, with caches that are written in place.

Dimensions: B documents, R rows per document, N = B*R, S source, T cache length, H heads,
Dh head dim, L decoder layers, C candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.sessions.protocol import StepScores

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["PROVIDERS", "OrtEngine"]

PROVIDERS = ("auto", "cpu")

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


class OrtEngine:
    """A bundle loaded into ONNX Runtime; safe to use from several threads.

    A bundle without an encoder (task text-generation) is decoded without sources: of those that
    `start` takes, only their number counts.
    """

    def __init__(
        self, bundle: Bundle, *, provider: str = "auto", threads: int | None = None
    ) -> None:
        """Loads the graphs.

        threads: intra-op threads; None leaves the choice to ONNX Runtime (one per core).
        Raises: EngineError if the provider or the threads are impossible, onnxruntime is missing,
        or a graph cannot be loaded; BundleError if a graph is not the one that the manifest needs.
        """
        if provider not in PROVIDERS:
            raise EngineError(
                f"provider {provider!r} is not offered for target 'ort': "
                f"use one of {', '.join(PROVIDERS)}"
            )
        if threads is not None and threads < 1:
            raise EngineError(
                f"threads is {threads}, expected at least 1, or None for one per core"
            )
        facts = bundle.manifest.architecture
        self.num_layers = facts.decoder_layers
        self.num_heads = facts.decoder_heads
        self.head_dim = facts.head_dim
        self.pad_token_id = bundle.manifest.token_ids.pad_token_id
        has_encoder = "encoder" in bundle.manifest.graphs
        self.encoder = _load_graph(bundle, "encoder", threads) if has_encoder else None
        self.decoder_step = _load_graph(bundle, "decoder_step", threads)
        self._check_names(bundle)

    def _check_names(self, bundle: Bundle) -> None:
        """Checks that the graphs have the inputs and outputs that a decoding will bind."""
        layers = range(self.num_layers)
        cross = {f"cross_{kind}.{layer}" for kind in ("key", "value") for layer in layers}
        cache = {f"self_{kind}.{layer}" for kind in ("key", "value") for layer in layers}
        source: set[str] = set()
        if self.encoder is not None:
            inputs = {"input_ids", "attention_mask"}
            _check_graph(bundle, "encoder", self.encoder, inputs, cross)
            source = {"attention_mask", *cross}
        inputs = {"input_ids", "position", "num_candidates", "cache_indirection", *source}
        inputs |= {f"past_{name}" for name in cache}
        outputs = {"top_scores", "top_ids", "log_probs", "log_normalizer"}
        outputs |= {f"present_{name}" for name in cache}
        _check_graph(bundle, "decoder_step", self.decoder_step, inputs, outputs)

    def start(
        self, sources: Sequence[Sequence[int]], *, rows_per_document: int, max_length: int
    ) -> OrtDecoding:
        """See `Engine.start`."""
        return OrtDecoding(
            self,
            self.encode(sources),
            batch=len(sources),
            rows_per_document=rows_per_document,
            max_length=max_length,
        )

    def encode(self, sources: Sequence[Sequence[int]]) -> dict[str, onnxruntime.OrtValue]:
        """What the decoder needs of the sources, by name.

        attention_mask [B, S] int64, cross_key.{l} and cross_value.{l} [B, H, S, Dh] float32;
        nothing where there is no encoder.
        """
        if self.encoder is None:
            return {}
        longest = max(len(source) for source in sources)
        input_ids = np.full((len(sources), longest), self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros((len(sources), longest), dtype=np.int64)
        for row, source in enumerate(sources):
            input_ids[row, : len(source)] = source
            attention_mask[row, : len(source)] = 1
        mask = _shared(attention_mask)
        binding = self.encoder.io_binding()
        binding.bind_ortvalue_input("input_ids", _shared(input_ids))
        binding.bind_ortvalue_input("attention_mask", mask)
        names = [output.name for output in self.encoder.get_outputs()]
        for name in names:
            binding.bind_output(name, "cpu")
        _run(self.encoder, binding)
        return {"attention_mask": mask, **dict(zip(names, binding.get_outputs(), strict=True))}


class OrtDecoding:
    """One batch being decoded: its buffers, and the binding that hands them to the graph."""

    def __init__(
        self,
        engine: OrtEngine,
        source: dict[str, onnxruntime.OrtValue],
        *,
        batch: int,
        rows_per_document: int,
        max_length: int,
    ) -> None:
        self.engine = engine
        self.source = source
        self.rows_per_document = rows_per_document
        self.length = 0
        self.position = np.zeros(1, dtype=np.int32)
        self.num_candidates = np.zeros(1, dtype=np.int64)
        self._allocate(batch, 1, max_length)

    def step(
        self,
        tokens: Int64,
        parents: Int64 | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        """See `Decoding.step`."""
        if parents is not None:
            self._follow(parents)
        self.input_ids[:, 0] = tokens
        self.position[0] = self.length
        self.num_candidates[0] = num_candidates
        self.indirection[:, :, self.length] = np.arange(self.indirection.shape[1])
        outputs = self._run(("top_scores", "top_ids"), full)
        self.length += 1
        return StepScores(
            top_scores=outputs["top_scores"],
            top_ids=outputs["top_ids"],
            log_probs=outputs.get("log_probs"),
            log_normalizer=outputs.get("log_normalizer"),
        )

    def _follow(self, parents: Int64) -> None:
        """Lets each row continue the history of its parent, without moving the cache."""
        if self.length == 1 and self.indirection.shape[1] != self.rows_per_document:
            self._spread()
            return
        past = self.indirection[:, :, : self.length]
        past[:] = np.take_along_axis(past, parents[:, :, None], axis=1)  # [B, R, t] by [B, R, 1]

    def _spread(self) -> None:
        """From one row per document to R: the first token's keys go to each document's row 0."""
        batch, _, max_length = self.indirection.shape
        first = {name: cache[:, :, 0] for name, cache in self.caches.items()}  # [B, H, Dh]
        self._allocate(batch, self.rows_per_document, max_length)
        for name, cache in self.caches.items():
            cache[:: self.rows_per_document, :, 0] = first[name]
        self.indirection[:, :, 0] = 0

    def _allocate(self, batch: int, rows_per_document: int, max_length: int) -> None:
        engine, rows = self.engine, batch * rows_per_document
        shape = (rows, engine.num_heads, max_length, engine.head_dim)
        self.input_ids = np.zeros((rows, 1), dtype=np.int64)
        self.indirection = np.zeros((batch, rows_per_document, max_length), dtype=np.int32)
        self.caches: dict[str, Float32] = {
            f"self_{kind}.{layer}": np.zeros(shape, dtype=np.float32)
            for kind in ("key", "value")
            for layer in range(engine.num_layers)
        }
        self.cache_values = {name: _shared(cache) for name, cache in self.caches.items()}
        self.binding = self._bind_inputs()

    def _bind_inputs(self) -> onnxruntime.IOBinding:
        binding = self.engine.decoder_step.io_binding()
        inputs = {
            "input_ids": _shared(self.input_ids),
            "position": _shared(self.position),
            "num_candidates": _shared(self.num_candidates),
            "cache_indirection": _shared(self.indirection),
            **self.source,
            **{f"past_{name}": value for name, value in self.cache_values.items()},
        }
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        return binding

    def _run(self, names: tuple[str, ...], full: bool) -> dict[str, npt.NDArray[Any]]:
        if full:
            names = (*names, "log_probs", "log_normalizer")
        self.binding.clear_binding_outputs()
        for name in names:
            self.binding.bind_output(name, "cpu")
        for name, value in self.cache_values.items():
            self.binding.bind_ortvalue_output(f"present_{name}", value)
        _run(self.engine.decoder_step, self.binding)
        outputs = self.binding.get_outputs()
        # In the order of binding: the caches, which nobody reads from here, come last.
        return {name: value.numpy() for name, value in zip(names, outputs, strict=False)}


def _shared(array: npt.NDArray[np.generic]) -> onnxruntime.OrtValue:
    """An OrtValue over the array's own memory: what NumPy writes, the graph reads."""
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _load_graph(bundle: Bundle, name: str, threads: int | None) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as err:
        raise EngineError("onnxruntime is not installed: pip install 'pegasus-edge[cpu]'") from err
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    path = bundle.path(bundle.manifest.graphs[name].file)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's exceptions share no base class
        raise EngineError(f"{path}: ONNX Runtime cannot load it: {_first_line(err)}") from err


def _check_graph(
    bundle: Bundle,
    name: str,
    session: onnxruntime.InferenceSession,
    inputs: set[str],
    outputs: set[str],
) -> None:
    """Raises: BundleError where an input or output is missing, or an input is one too many."""
    file = bundle.manifest.graphs[name].file
    got_inputs = {value.name for value in session.get_inputs()}
    missing = inputs - got_inputs | outputs - {value.name for value in session.get_outputs()}
    if missing or got_inputs - inputs:
        what = f"lacks {min(missing)}" if missing else f"has input {min(got_inputs - inputs)}"
        raise BundleError(
            f"{bundle.folder / file}: {what}, unlike a graph {name} of {bundle.manifest.task} "
            "with the manifest's number of layers: export the checkpoint again"
        )


def _run(session: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding) -> None:
    try:
        session.run_with_iobinding(binding)
    except Exception as err:  # onnxruntime's exceptions share no base class
        raise EngineError(f"ONNX Runtime failed: {_first_line(err)}") from err


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]
