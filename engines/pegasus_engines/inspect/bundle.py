"""Graphs of a bundle in ONNX Runtime on the CPU, beside the plans that were built of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_engines.inspect.compare import OutputDifference, compare_engines
from pegasus_runtime.bundle import Bundle, Profile, TensorSpec, map_table

__all__ = ["compare_plans", "example_feeds"]

_TOKENS = 3  # in the decoder's cache
Array = npt.NDArray[Any]


def compare_plans(bundle: Bundle, plans: Path) -> dict[str, tuple[OutputDifference, ...]]:
    """Runs every graph once in both, in its first profile, on random inputs.

    bundle: of the graphs; plans: the folder of the plans. Graph's name -> its outputs.
    Raises: EngineError, also where there is no GPU.
    """
    assert bundle.manifest.plans is not None
    return {
        name: compare_engines(
            bundle.path(spec.file),
            plans / f"{name}.plan",
            example_feeds(bundle, name, bundle.manifest.plans.profiles[name][0]),
            target=bundle.manifest.target,
        )
        for name, spec in bundle.manifest.graphs.items()
    }


def example_feeds(
    bundle: Bundle, graph: str, profile: Profile, *, seed: int = 0
) -> Mapping[str, Array]:
    """Random inputs of a graph that make sense to it, at a profile's best sizes."""
    rng = np.random.default_rng(seed)
    return {
        spec.name: _example(bundle, spec, profile, rng)
        for spec in bundle.manifest.graphs[graph].inputs
    }


def _example(bundle: Bundle, spec: TensorSpec, profile: Profile, rng: np.random.Generator) -> Array:
    if spec.name in bundle.manifest.tables:
        return map_table(bundle, spec.name)
    dtype = np.dtype(spec.dtype)
    shape = [profile[size][1] if isinstance(size, str) else size for size in spec.shape]
    if spec.name == "input_ids":
        return rng.integers(0, bundle.manifest.architecture.vocab_size, shape, dtype)
    if spec.name == "cache_indirection":
        indirection = np.full(shape, -1, dtype)
        indirection[:, :, :_TOKENS] = np.arange(shape[1])[None, :, None]
        return indirection
    if spec.name == "seen_blocks":
        return np.broadcast_to(np.arange(shape[1], dtype=dtype), shape).copy()
    constants = {"attention_mask": 1, "position": _TOKENS, "seen_bias": 0, "last_random": -1}
    if spec.name in constants:
        return np.full(shape, constants[spec.name], dtype)
    return rng.standard_normal(shape, np.float32).astype(dtype)
