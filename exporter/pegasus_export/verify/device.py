"""Graphs for TensorRT, and fp16 ones, through the runtime's own decoding, on the CPU.

fp16 is emulated: ONNX Runtime would compute it in fp32, and see nothing overflow.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision.passes.emulate_half import emulate_half
from pegasus_engines.weights import WeightsFile
from pegasus_export.verify.measure import Expected, Measured, measure
from pegasus_export.verify.ort import (
    check_candidates,
    decode_reference,
    score_pairs,
)
from pegasus_export.verify.reference import Reference, Sources
from pegasus_runtime.bundle import Bundle, FileRecord, map_table
from pegasus_runtime.sessions.device.arrays import allocate_arrays
from pegasus_runtime.sessions.device.encoder import Encoded
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs

__all__ = ["open_on_host", "verify_device"]

Array = npt.NDArray[np.generic]


def verify_device(bundle: Bundle, reference: Reference) -> list[Measured]:
    """Encoder, and every decoder step over cache and beams that change places.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    precision = bundle.manifest.precision
    with open_on_host(_at_any_size(bundle, reference)) as engine:
        measured = [
            measure(graph, _cross_pairs(engine, sources), precision)
            for graph, sources in (
                ("encoder", reference.short),
                (f"encoder, {_kind(bundle)}", reference.long),
            )
            if sources is not None
        ]
        num_steps, _, rows = reference.parents.shape
        decoding = engine.start(
            reference.short.token_ids, rows_per_document=rows, max_length=num_steps
        )
        steps = decode_reference(decoding, reference)
    measured.append(measure("decoder_step", score_pairs(steps, reference), precision))
    for scores in steps:
        check_candidates(scores)
    return measured


@contextlib.contextmanager
def open_on_host(bundle: Bundle) -> Iterator[DeviceEngine]:
    """The bundle's graphs on the CPU, fp16 emulated. Raises: EngineError."""
    with _emulated(bundle) as emulated:
        graphs = load_host_graphs(emulated, pack_weights=False)
        yield DeviceEngine(emulated, HostDevice(), graphs)


def _kind(bundle: Bundle) -> str:
    return bundle.manifest.architecture.attention_type.removeprefix("block_")


def _at_any_size(bundle: Bundle, reference: Reference) -> Bundle:
    """Without the sizes that plans are built for, where those are too few for the reference."""
    manifest, limits = bundle.manifest, bundle.manifest.limits
    sizes = (limits.max_target_tokens, limits.max_batch or 1, limits.max_beams)
    needed = reference.parents.shape
    if all(size >= least for size, least in zip(sizes, needed, strict=True)):
        return bundle
    return dataclasses.replace(bundle, manifest=dataclasses.replace(manifest, plans=None))


@contextlib.contextmanager
def _emulated(bundle: Bundle) -> Iterator[Bundle]:
    """The bundle with graphs that round to fp16, beside its own files while it lasts.

    Tables are weights of these graphs, so that they too are widened once.
    """
    manifest = bundle.manifest
    if manifest.precision == "fp32":
        yield bundle
        return
    weights = bundle.folder / "emulated.bin"
    files, graphs, records = [weights], {}, {}
    try:
        with WeightsFile(weights) as file:
            for name, spec in manifest.graphs.items():
                model = ir.load(bundle.path(spec.file))
                _take_tables(model, bundle)
                emulate_half(model, file)
                path = bundle.folder / f"{name}.emulated.onnx"
                files.append(path)
                ir.save(model, path)
                inputs = tuple(x for x in spec.inputs if x.name not in manifest.tables)
                graphs[name] = dataclasses.replace(spec, file=path.name, inputs=inputs)
                records[path.name] = manifest.files[spec.file]
        size = weights.stat().st_size
        records[weights.name] = FileRecord(bytes=size, sha256=file.sha256)
        draft = dataclasses.replace(
            manifest, graphs=graphs, tables={}, files={**manifest.files, **records}
        )
        yield dataclasses.replace(bundle, manifest=draft)
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def _take_tables(model: ir.Model, bundle: Bundle) -> None:
    """Makes initialisers of the inputs that are tables."""
    for value in list(model.graph.inputs):
        if value.name is not None and value.name in bundle.manifest.tables:
            model.graph.inputs.remove(value)
            value.const_value = ir.tensor(map_table(bundle, value.name), name=value.name)
            model.graph.register_initializer(value)


def _cross_pairs(engine: DeviceEngine, sources: Sources) -> list[tuple[Array, Expected]]:
    """What the encoder gives of the tokens, and what is expected."""
    encoder = engine.encoder
    longest = max(encoder.padded_length(len(ids)) for ids in sources.token_ids)
    _, heads, head_dim = sources.cross_keys[0].exact.shape
    dtype = np.dtype(engine.bundle.manifest.graphs["encoder"].outputs[0].dtype)
    shape = (len(sources.token_ids), heads, longest, head_dim)
    cross = allocate_arrays(engine.device, encoder.names, shape, dtype)
    encoder.encode(sources.token_ids, Encoded(cross=cross))
    got = [sources.keys_of_tokens(engine.device.download(view)) for view in cross.values()]
    return list(zip(got, sources.cross_keys, strict=True))
