"""A checkpoint whose weights have the factors that an export of integers would give them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.checkpoint_weights import store_weights
from pegasus_engines.precision.equalisation import Equalisation, EqualisedWeights, find_equalisation
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.measure.activations import observe_inputs
from pegasus_export.models.activations import HOMOGENEOUS
from pegasus_export.models.loading import load_pegasus
from pegasus_export.stages.graph_files import network_weights

__all__ = ["write_equalised_checkpoint"]

SUMMARY_TOKENS = 24


def write_equalised_checkpoint(
    source: Path, target: Path, documents: Sequence[Sequence[int]]
) -> Equalisation:
    """Writes the checkpoint over an older one; documents: ids, by which factors are chosen.

    The beginnings of documents do for their summaries.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    pegasus = load_pegasus(open_checkpoint(str(source)))
    weights = network_weights(pegasus)
    observed = observe_inputs(pegasus, documents, [each[:SUMMARY_TOKENS] for each in documents])
    equalisation = find_equalisation(
        weights,
        observed.largest,
        through_activation=pegasus.config.activation_function in HOMOGENEOUS,
    )
    found = EqualisedWeights(weights=weights, equalisation=equalisation)
    store_weights(found, target, is_sparse=pegasus.config.block_sparse is not None)
    return equalisation
