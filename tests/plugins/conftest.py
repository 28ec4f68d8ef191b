"""What the plugins' tests share. Triton's interpreter is asked for in tests/conftest.py."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _quiet_torch() -> None:
    """One thread, as tiny matrices gain nothing from more."""
    torch.set_num_threads(1)
