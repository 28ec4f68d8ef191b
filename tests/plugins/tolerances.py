"""How far an attention may be from its reference: the one table of the plugins' tests."""

from typing import Any

import numpy as np

__all__ = ["TOLERANCES", "assert_close"]

TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}
"""dtype -> largest error, relative to the largest reference value (at least 1)."""


def assert_close(got: Any, expected: Any) -> None:
    """Two arrays or tensors of one shape; the dtype of the first decides."""
    import torch  # the table is read where there is none, too

    tensor = torch.as_tensor(got)
    values, wanted = tensor.to(torch.float64).numpy(), np.asarray(expected)
    assert values.shape == wanted.shape
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    error = float(np.abs(values - wanted).max(initial=0.0)) / scale
    dtype = str(tensor.dtype).removeprefix("torch.")
    assert error <= TOLERANCES[dtype], f"error {error:.1e}"
