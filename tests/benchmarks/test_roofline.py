"""The arithmetic of the bounds, and the products whose rate is measured."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from decoder_step_cost import MatmulKernel, StepCost
from machine_peaks import FP32_KERNEL, INNER, ROWS, product_model
from roofline import Bounds, Peaks, bounds_of_step, mean_target_tokens

INT8 = MatmulKernel(op_type="DynamicQuantizeMatMul", weight_type="INT8")
INT8_HEAD = MatmulKernel(op_type="QGemm", weight_type="INT8")
INT4 = MatmulKernel(
    op_type="MatMulNBits", weight_type="UINT8", bits=4, block_size=32, accuracy_level=4
)


def test_bounds_are_amounts_over_rates() -> None:
    cost = StepCost(
        weight_bytes=300,
        cross_cache_bytes=60.0,
        self_cache_bytes=40.0,
        weight_multiply_adds={INT8: 1000, INT8_HEAD: 600},
        attention_multiply_adds=50.0,
    )
    rates = {INT8: 100.0, INT8_HEAD: 200.0, FP32_KERNEL: 25.0}
    bounds = bounds_of_step(cost, Peaks(read_bytes=80.0, multiply_adds=rates))
    assert bounds == Bounds(bandwidth_s=5.0, compute_s=10.0 + 3.0 + 2.0)
    assert bounds.larger_s == 15.0


def test_the_better_of_two_measurements_counts() -> None:
    first = Peaks(read_bytes=10.0, multiply_adds={INT8: 5.0, FP32_KERNEL: 4.0})
    second = Peaks(read_bytes=9.0, multiply_adds={INT8: 6.0, FP32_KERNEL: 3.0})
    best = Peaks(read_bytes=10.0, multiply_adds={INT8: 6.0, FP32_KERNEL: 4.0})
    assert first.best_with(second) == best


def test_the_mean_target_is_that_of_the_steps_between_the_two_summaries() -> None:
    assert mean_target_tokens(64) == np.mean(np.arange(3, 65))


@pytest.mark.parametrize("kernel", [FP32_KERNEL, INT8, INT8_HEAD, INT4], ids=lambda k: k.op_type)
def test_onnx_runtime_takes_the_product_of_every_kernel(kernel: MatmulKernel) -> None:
    model = product_model(kernel).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    a = np.ones((ROWS, INNER), np.uint8 if kernel.op_type == "QGemm" else np.float32)
    (y,) = session.run(None, {"a": a})
    assert np.isfinite(y).all()


def test_an_unknown_kernel_is_refused() -> None:
    kernel = MatmulKernel(op_type="MatMulBnb4", weight_type="UINT8")
    with pytest.raises(ValueError, match="no product is known for operator MatMulBnb4"):
        product_model(kernel)
