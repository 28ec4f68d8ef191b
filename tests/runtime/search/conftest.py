"""Torch, which the oracle runs on, stays on one thread: its models here are tiny."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
