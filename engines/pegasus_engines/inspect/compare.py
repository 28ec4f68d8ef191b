"""ONNX Runtime against TensorRT on the same inputs, through Polygraphy's comparator."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_engines.inspect.plan import check_gpu
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.ort import silence_onnxruntime

__all__ = ["OutputDifference", "compare_engines", "compare_runners", "open_onnx", "open_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """How far an output of the second engine is from the first's, over all its elements.

    max_rel divides by the first's magnitude, so that elements near zero make it large.
    """

    output: str
    max_abs: float
    mean_abs: float
    max_rel: float


def compare_engines(
    graph: Path,
    plan: Path,
    feeds: Mapping[str, npt.NDArray[Any]],
    *,
    target: str,
    profile: int = 0,
) -> tuple[OutputDifference, ...]:
    """Runs a graph on the CPU and its plan on the GPU, once.

    feeds: every input by name, within the plan's optimisation profile of that number.
    Raises: EngineError if there is no GPU or no Polygraphy, or an engine fails.
    """
    check_gpu(plan, current_capability())
    return compare_runners(open_onnx(graph), open_plan(plan, target=target, profile=profile), feeds)


def open_onnx(graph: Path) -> Any:
    """Polygraphy's runner of a graph in ONNX Runtime, on the CPU. Raises: EngineError."""
    backend = _polygraphy("backend.onnxrt")
    return backend.OnnxrtRunner(
        backend.SessionFromOnnx(str(graph), providers=["CPUExecutionProvider"])
    )


def open_plan(plan: Path, *, target: str, profile: int = 0) -> Any:
    """Polygraphy's runner of a plan; the plan is opened when it runs. Raises: EngineError."""
    _polygraphy("config").USE_TENSORRT_RTX = target == "trt-rtx"  # read when backend.trt is loaded
    backend = _polygraphy("backend.trt")
    return backend.TrtRunner(backend.EngineFromPath(str(plan)), optimization_profile=profile)


def compare_runners(
    first: Any, second: Any, feeds: Mapping[str, npt.NDArray[Any]]
) -> tuple[OutputDifference, ...]:
    """Runs two of Polygraphy's runners once, and compares output by output.

    Raises: EngineError if one fails, or if their outputs differ in name or shape.
    """
    comparator = _polygraphy("comparator")
    logger = _polygraphy("logger").G_LOGGER
    try:
        with logger.verbosity(logger.CRITICAL):
            results = comparator.Comparator.run([first, second], data_loader=[dict(feeds)])
            expected, got = (dict(iterations[0]) for _, iterations in results)
    except Exception as err:  # those of the engines share no base class
        raise EngineError(f"Polygraphy cannot compare: {' '.join(str(err).split())}") from err
    if _shapes(expected) != _shapes(got):
        raise EngineError(
            f"the engines' outputs differ: {_shapes(expected)} and {_shapes(got)}: "
            "build the plan from this graph"
        )
    return tuple(_difference(name, array, got[name]) for name, array in expected.items())


def _shapes(outputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: outputs[name].shape for name in sorted(outputs)}


def _difference(name: str, expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> OutputDifference:
    first, second = expected.astype(np.float64), got.astype(np.float64)
    error = np.abs(second - first)
    scale = np.maximum(np.abs(first), np.finfo(np.float64).tiny)
    return OutputDifference(
        output=name,
        max_abs=float(error.max(initial=0)),
        mean_abs=float(error.mean()) if error.size else 0.0,
        max_rel=float((error / scale).max(initial=0)),
    )


def _polygraphy(name: str) -> Any:
    silence_onnxruntime()  # which it imports
    try:
        return importlib.import_module(f"polygraphy.{name}")
    except ImportError as err:
        raise EngineError(f"Polygraphy is not installed ({err}): pip install polygraphy") from err
