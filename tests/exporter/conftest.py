"""What the exporter's tests share besides the checkpoints and bundles of tests/conftest.py."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus


@pytest.fixture(autouse=True)
def _quiet_torch() -> None:
    """One thread, as tiny matrices gain nothing from more, and the same random tensors always."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_pegasus(tiny_checkpoint: Callable[[str], Path]) -> Callable[[str], Pegasus]:
    """architecture -> the torch module that its tiny bundles were made from; read only."""

    @cache
    def load(architecture: str) -> Pegasus:
        return load_pegasus(open_checkpoint(str(tiny_checkpoint(architecture))))

    return load
