"""One ONNX graph of a bundle in ONNX Runtime: loaded, checked, run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError, EngineError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["check_graph", "load_graph", "run_graph", "share"]


def share(array: npt.NDArray[np.generic]) -> onnxruntime.OrtValue:
    """An OrtValue over the array's own memory: what NumPy writes, the graph reads."""
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def load_graph(bundle: Bundle, name: str, threads: int | None) -> onnxruntime.InferenceSession:
    """The session of a graph of the manifest, on the CPU.

    Raises: EngineError if the threads are impossible, onnxruntime is missing, or it cannot load.
    """
    if threads is not None and threads < 1:
        raise EngineError(f"threads is {threads}, expected at least 1, or None for one per core")
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


def check_graph(
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


def run_graph(session: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding) -> None:
    """Runs a graph on what is bound to it. Raises: EngineError."""
    try:
        session.run_with_iobinding(binding)
    except Exception as err:  # onnxruntime's exceptions share no base class
        raise EngineError(f"ONNX Runtime failed: {_first_line(err)}") from err


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]
