"""A network's weights under the names that its checkpoint gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from pegasus_export.models.bigbird_pegasus import checkpoint_name

__all__ = ["store_weights"]


def store_weights(
    weights: Mapping[str, npt.NDArray[np.float32]], folder: Path, *, is_sparse: bool
) -> None:
    """Over those of a model.safetensors that has them all, in fp32."""
    path = folder / "model.safetensors"
    stored = {name: array.astype(np.float32) for name, array in load_file(path).items()}
    for name, array in weights.items():
        given = checkpoint_name(name) if is_sparse else name
        if given in stored:
            stored[given] = np.ascontiguousarray(array)
    save_file(stored, path, metadata={"format": "pt"})
