"""Graphs through plain ONNX Runtime sessions: for checks, not for speed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.ort import import_onnxruntime, open_session

__all__ = ["Graph", "open_file", "open_graph", "run_graph"]

Graph: TypeAlias = Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[np.generic]]]
"""Inputs by name -> outputs by name."""


def open_graph(bundle: Bundle, name: str) -> Graph:
    """Loads one graph of a bundle on the CPU.

    It and the graph raise EngineError, also for inputs that the graph does not have and for
    missing ones.
    """
    return open_file(bundle.path(bundle.manifest.graphs[name].file))


def open_file(path: Path, *, operators: str | None = None) -> Graph:
    """The same of a file. operators: a native library that has some of the graph's."""
    options = import_onnxruntime().SessionOptions()
    options.log_severity_level = 4  # errors are raised; it need not print them, too
    if operators is not None:
        options.register_custom_ops_library(operators)

    def failed(err: Exception) -> EngineError:
        reason = (str(err).splitlines() or [type(err).__name__])[0]
        return EngineError(f"{path}: ONNX Runtime cannot run it: {reason}")

    try:
        session = open_session(path, options, ["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's exceptions share no base class
        raise failed(err) from err
    outputs = [output.name for output in session.get_outputs()]

    def run(feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.generic]]:
        try:
            return dict(zip(outputs, session.run(outputs, dict(feeds)), strict=True))
        except Exception as err:  # as above
            raise failed(err) from err

    return run


def run_graph(
    bundle: Bundle, name: str, feeds: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.generic]]:
    """Loads one graph and runs it once; raises as `open_graph` does."""
    return open_graph(bundle, name)(feeds)
