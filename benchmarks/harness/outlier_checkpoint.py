"""A checkpoint with large activations that computes the same function, as trained ones have them.

A few channels are scaled up where they are written, and down where they are read, which changes
nothing but rounding:

- neurons   of fc1 that fire for few tokens (ReLU); in published PEGASUS checkpoints they reach 316
- channels  of LayerNorms and of attention's values
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from harness.checkpoint_weights import store_weights
from pegasus_engines.precision.equalisation import find_readers
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.measure.activations import watch_inputs
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus

__all__ = ["Where", "write_outlier_checkpoint"]

Where: TypeAlias = Literal["neurons", "channels"]
Weights = dict[str, npt.NDArray[np.float32]]
PER_MODULE = 4
SELDOM = (0.001, 0.05)  # of all tokens


def write_outlier_checkpoint(
    source: Path,
    target: Path,
    *,
    factor: float,
    where: Where,
    documents: Sequence[Sequence[int]],
) -> None:
    """Writes the checkpoint over an older one; documents: ids, on which neurons are looked at."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    pegasus = load_pegasus(open_checkpoint(str(source)))
    weights: Weights = {
        name: tensor.numpy().copy() for name, tensor in pegasus.state_dict().items()
    }
    readers = find_readers(weights, through_activation=where == "neurons")
    seldom = _find_seldom(pegasus, documents) if where == "neurons" else {}
    draw = np.random.default_rng(0)
    for writer, found in readers.items():
        is_neuron = writer.endswith(".fc1")
        if is_neuron != (where == "neurons"):
            continue
        size = len(weights[f"{writer}.weight"])
        chosen = seldom[found[0]] if is_neuron else draw.choice(size, PER_MODULE, replace=False)
        for kind in ("weight", "bias"):
            if f"{writer}.{kind}" in weights:
                weights[f"{writer}.{kind}"][chosen] *= np.float32(factor)
        for reader in found:
            weights[f"{reader}.weight"][:, chosen] /= np.float32(factor)
    store_weights(weights, target, is_sparse=pegasus.config.block_sparse is not None)


def _find_seldom(
    pegasus: Pegasus, documents: Sequence[Sequence[int]]
) -> dict[str, npt.NDArray[np.int64]]:
    """fc2 -> the neurons that it reads least often, of those that fire at all."""
    fired: dict[str, list[torch.Tensor]] = {}

    def look(name: str, rows: torch.Tensor) -> None:
        if name.endswith(".fc2"):
            fired.setdefault(name, []).append((rows > 0).float())

    watch_inputs(pegasus, documents, [document[:24] for document in documents], look)
    found = {}
    for name, seen in fired.items():
        rates = torch.cat(seen).mean(0).numpy()
        ranked = np.argsort(-rates)
        found[name] = ranked[(rates[ranked] > SELDOM[0]) & (rates[ranked] < SELDOM[1])][:PER_MODULE]
    return found
