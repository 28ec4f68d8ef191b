"""What the exporter's tests share besides the checkpoints and bundles of tests/conftest.py."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tiny matrices gain nothing from more, and tests of other processes lose by it."""
    torch.set_num_threads(1)
