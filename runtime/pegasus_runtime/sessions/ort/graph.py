"""One ONNX graph of a bundle in ONNX Runtime: loaded, checked, run on arrays that it shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import (
    Bundle,
    TensorSpec,
    check_graph_metadata,
    check_graph_weights,
    map_table,
)
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import BundleError, EngineError, OptionsError
from pegasus_runtime.native.heap import note_run
from pegasus_runtime.native.kernels import find_kernels, look_for_kernels, register
from pegasus_runtime.native.ort import check_process, import_onnxruntime, open_session
from pegasus_runtime.native.pages import PAGES
from pegasus_runtime.native.processors import usable_processors

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "MAX_THREADS",
    "SharedArray",
    "Tables",
    "allocate",
    "check_graph",
    "describe_runtime",
    "load_graph",
    "map_tables",
    "run_arrays",
    "run_graph",
    "share",
]

MAX_THREADS = 1024
"""More than any computer has cores for; ONNX Runtime starts as many as it is told."""

_WAITING = {
    "intra_op.allow_spinning": "1",
    "intra_op.spin_duration_us": "30",  # who does not know it waits as long as a run
    "force_spinning_stop": "1",  # when a run ends
}

Tables: TypeAlias = "Mapping[str, SharedArray]"
"""Initialiser's name -> the array that all sessions read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedArray:
    """An array, and the OrtValue over its memory: what NumPy writes, a graph reads, and back.

    Whoever binds the value keeps the array: ONNX Runtime does not own its memory.
    """

    array: npt.NDArray[Any]
    value: onnxruntime.OrtValue


def share(array: npt.NDArray[Any]) -> SharedArray:
    """Makes an array, which must be contiguous, readable and writable for graphs."""
    onnxruntime = import_onnxruntime()
    return SharedArray(array=array, value=onnxruntime.OrtValue.ortvalue_from_numpy(array))


_TYPES: Mapping[str, str] = {
    "bool": "tensor(bool)",
    "float16": "tensor(float16)",
    "float32": "tensor(float)",
    "int32": "tensor(int32)",
    "int64": "tensor(int64)",
    "int8": "tensor(int8)",
}
# What is as large gets pages of its own: batches differ in size, and in the heap they leave holes.
_OWN_PAGES_BYTES = 2**20


def allocate(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """An array of any content. Raises: EngineError if there is not enough memory."""
    num_bytes = 4 * math.prod(shape)
    try:
        if num_bytes < _OWN_PAGES_BYTES:
            return np.empty(shape, dtype=np.float32)
        return PAGES.empty(shape)
    except (MemoryError, OSError, OverflowError) as err:
        mib = num_bytes // 2**20
        raise EngineError(
            f"no memory for {mib} MiB of keys and values: ask for fewer beams or a smaller "
            "max_length, or give shorter documents"
        ) from err


def map_tables(bundle: Bundle) -> Tables:
    """Maps what several graphs look rows up in: each session would map a table of its own.

    Raises: EngineError.
    """
    return {name: share(map_table(bundle, name)) for name in bundle.manifest.tables}


def describe_runtime() -> str:
    """ONNX Runtime, and whose operators it has for a graph that is loaded now.

    Raises: EngineError if onnxruntime is missing.
    """
    return f"ONNX Runtime {import_onnxruntime().__version__}, {look_for_kernels()}"


def load_graph(
    bundle: Bundle,
    name: str,
    threads: int | None,
    tables: Tables | None = None,
    *,
    pack_weights: bool = True,
    kernels: bool = True,
) -> onnxruntime.InferenceSession:
    """The session of a graph of the manifest, on the CPU.

    tables: of `map_tables`; they have to outlive the session. pack_weights: whether products keep
    a copy of their weights in the order in which they are fastest. kernels: whether those that are
    installed run in place of the graph's functions.
    Raises: OptionsError if the threads are impossible; EngineError if onnxruntime is missing, or it
    cannot load.
    """
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise OptionsError(
            f"threads is {threads}, expected from 1 to {MAX_THREADS}, or None for one per core"
        )
    options = import_onnxruntime().SessionOptions()
    options.log_severity_level = 4  # errors are raised; it need not print them, too
    # 0 leaves it to ONNX Runtime, which would count the machine's cores, and pin threads to them.
    options.intra_op_num_threads = threads or usable_processors() or 0
    # Threads wait awake from one node to the next, but no longer: from step to step, and where
    # others compute, they would take the time that search, and those, need.
    for entry, value in _WAITING.items():
        options.add_session_config_entry(f"session.{entry}", value)
    if not pack_weights:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if name == "decoder_step":
        # An arena would keep, for good, the memory in which the head was transposed for packing.
        options.enable_cpu_mem_arena = False
    for table, shared in (tables or {}).items():
        if name in bundle.manifest.tables[table].graphs:
            options.add_initializer(table, shared.value)
    if name not in bundle.manifest.graphs:
        raise BundleError(
            f"{bundle.folder}: has no graph {name}, which {bundle.manifest.task} needs: export the "
            "checkpoint again"
        )
    check_graph_weights(bundle, name)
    if kernels and (installed := find_kernels()):
        register(installed, options)
    path = bundle.path(bundle.manifest.graphs[name].file)
    try:
        return open_session(path, options, ["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's exceptions share no base class
        raise EngineError(
            f"{path}: ONNX Runtime cannot load it: {_first_line(err)}{_advice(bundle)}"
        ) from err


def _advice(bundle: Bundle) -> str:
    """ONNX Runtime takes weights from a graph's own folder alone, that of links or of files."""
    files = [bundle.folder / name for name in bundle.manifest.files]
    if not any(file.is_symlink() for file in files):
        return ""
    if len({file.resolve().parent for file in files}) == 1:
        return ""
    return ": its files are links to different folders: link all to one, or copy the bundle"


def check_graph(
    bundle: Bundle,
    name: str,
    session: onnxruntime.InferenceSession,
    inputs: set[str],
    outputs: set[str],
) -> None:
    """Raises: BundleError where an input or output is missing, has another type or shape than in
    the manifest, an input is one too many, or the graph is of another network."""
    try:
        _check_graph(bundle, name, session, inputs, outputs)
    except UnicodeDecodeError as err:  # a name, or what a graph says of itself
        path = bundle.folder / bundle.manifest.graphs[name].file
        raise BundleError(f"{path}: has text that is not UTF-8: copy the bundle again") from err


def _check_graph(
    bundle: Bundle,
    name: str,
    session: onnxruntime.InferenceSession,
    inputs: set[str],
    outputs: set[str],
) -> None:
    spec = bundle.manifest.graphs[name]
    file = spec.file
    got_inputs = {value.name for value in session.get_inputs()}
    missing = inputs - got_inputs | outputs - {value.name for value in session.get_outputs()}
    if missing or got_inputs - inputs:
        what = f"lacks {min(missing)}" if missing else f"has input {min(got_inputs - inputs)}"
        raise BundleError(
            f"{bundle.folder / file}: {what}, unlike a graph {name} of {bundle.manifest.task} "
            "with the manifest's number of layers: export the checkpoint again"
        )
    expected = {each.name: each for each in (*spec.inputs, *spec.outputs)}
    for value in (*session.get_inputs(), *session.get_outputs()):
        if value.name in expected and not _is_as_described(value, expected[value.name]):
            raise BundleError(
                f"{bundle.folder / file}: {value.name} is {value.type} {value.shape}, unlike graph "
                f"{name} of the manifest: export the checkpoint again"
            )
    check_graph_metadata(
        bundle.folder / file,
        session.get_modelmeta().custom_metadata_map,
        bundle.manifest.architecture,
    )


def _is_as_described(value: onnxruntime.NodeArg, spec: TensorSpec) -> bool:
    """Sizes that a graph leaves open may be any."""
    return (
        value.type == _TYPES.get(spec.dtype)
        and len(value.shape) == len(spec.shape)
        and all(
            isinstance(got, str | None) or isinstance(size, str) or got == size
            for got, size in zip(value.shape, spec.shape, strict=True)
        )
    )


def run_graph(
    session: onnxruntime.InferenceSession,
    binding: onnxruntime.IOBinding,
    *,
    release_memory: bool = False,
    interrupt: Interrupt | None = None,
) -> None:
    """Runs a graph on what is bound to it. Raises: EngineError, and what interrupts it.

    release_memory: gives back what the graph worked in, rather than keeping it for the next run.
    """
    with _running(session, interrupt) as options:
        if release_memory:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        session.run_with_iobinding(binding, options)


def run_arrays(
    session: onnxruntime.InferenceSession,
    outputs: list[str],
    feeds: Mapping[str, npt.NDArray[Any]],
    *,
    interrupt: Interrupt | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Runs a graph on arrays, into its own. Raises: EngineError, and what interrupts it."""
    with _running(session, interrupt) as options:
        found: list[npt.NDArray[np.float32]] = session.run(outputs, dict(feeds), options)
    return found


@contextmanager
def _running(
    session: onnxruntime.InferenceSession, interrupt: Interrupt | None
) -> Iterator[onnxruntime.RunOptions]:
    """What a run is given, which is ended after the node that runs when it is interrupted."""
    check_process(session)
    options: onnxruntime.RunOptions = import_onnxruntime().RunOptions()
    options.log_severity_level = 4  # see `load_graph`

    def terminate() -> None:
        options.terminate = True

    try:
        with nullcontext() if interrupt is None else interrupt.ending(terminate):
            try:
                yield options
            except Exception as err:  # onnxruntime's exceptions share no base class
                raise EngineError(f"ONNX Runtime failed: {_first_line(err)}") from err
    finally:
        note_run()


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]
