"""Graphs through plain ONNX Runtime sessions, one call at a time: for checks, not for speed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import EngineError

__all__ = ["run_graph"]


def run_graph(
    bundle: Bundle, graph: str, feeds: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.generic]]:
    """Loads one graph of a bundle on the CPU and runs it: inputs by name -> outputs by name.

    Raises: EngineError, also for inputs that the graph does not have and for missing ones.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    path = bundle.path(bundle.manifest.graphs[graph].file)
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as err:  # onnxruntime's exceptions share no base class
        reason = (str(err).splitlines() or [type(err).__name__])[0]
        raise EngineError(f"{path}: ONNX Runtime cannot run it: {reason}") from err
