"""How fast this machine can read memory, and multiply matrices with a kernel of ONNX Runtime.

Each is the best of several repeats: what the machine can do, not what it does on average.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from decoder_step_cost import MatmulKernel

__all__ = ["FP32_KERNEL", "bytes_per_second", "multiply_adds_per_second"]

FP32_KERNEL = MatmulKernel(op_type="MatMul", weight_type="FLOAT")
READ_BYTES = 2**30  # far more than any cache
ROWS, INNER, OUTER = 512, 1024, 4096
REPEATS = 12
OPSET = 17
IR_VERSION = 10
QUANTIZED_TYPES = {"INT8": np.int8, "UINT8": np.uint8}


def bytes_per_second(threads: int) -> float:
    """Memory read, of a sum and of a matrix-vector product: the better of the two."""
    import torch

    torch.set_num_threads(threads)
    memory = torch.ones(READ_BYTES // 4, dtype=torch.float32)
    matrix, vector = memory.view(-1, 1024), torch.ones(1024)
    with torch.inference_mode():
        best_s = min(_best_seconds(memory.sum), _best_seconds(lambda: matrix @ vector))
    return READ_BYTES / best_s


def multiply_adds_per_second(kernel: MatmulKernel, threads: int) -> float:
    """On [512, 1024] x [1024, 4096], which is large enough to keep a kernel busy.

    Raises: ValueError for a kernel that is not known here.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        product_model(kernel).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    a_type = np.uint8 if kernel.op_type == "QGemm" else np.float32
    a = np.random.default_rng(0).integers(1, 100, (ROWS, INNER)).astype(a_type)
    best_s = _best_seconds(lambda: session.run(None, {"a": a}))
    return ROWS * INNER * OUTER / best_s


def product_model(kernel: MatmulKernel) -> onnx.ModelProto:
    """A graph of one product, with weights like those of the kernel."""
    node, weights = _product(kernel)
    a_type = onnx.TensorProto.UINT8 if kernel.op_type == "QGemm" else onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", a_type, [ROWS, INNER])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [ROWS, OUTER])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    domains = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION)


def _product(
    kernel: MatmulKernel,
) -> tuple[onnx.NodeProto, dict[str, npt.NDArray[np.generic]]]:
    random = np.random.default_rng(0)
    scale = np.full(OUTER, 0.01, np.float32)
    contrib = "com.microsoft"
    if kernel.op_type in ("MatMul", "FusedMatMul", "Gemm"):
        weight = random.standard_normal((INNER, OUTER), dtype=np.float32)
        return helper.make_node("MatMul", ["a", "b"], ["y"]), {"b": weight}
    if kernel.op_type == "DynamicQuantizeMatMul":
        weight = random.integers(1, 100, (INNER, OUTER)).astype(QUANTIZED_TYPES[kernel.weight_type])
        node = helper.make_node(kernel.op_type, ["a", "b", "scale"], ["y"], domain=contrib)
        return node, {"b": weight, "scale": scale}
    if kernel.op_type == "QGemm":
        b_type = QUANTIZED_TYPES[kernel.weight_type]
        weight = random.integers(1, 100, (OUTER, INNER)).astype(b_type)
        names = ["a", "a_scale", "a_zero", "b", "scale", "zero"]
        node = helper.make_node(kernel.op_type, names, ["y"], domain=contrib, transB=1)
        return node, {
            "a_scale": np.array(0.01, np.float32),
            "a_zero": np.array(128, np.uint8),
            "b": weight,
            "scale": scale,
            "zero": np.zeros(OUTER, b_type),
        }
    if kernel.op_type == "MatMulNBits":
        blocks = INNER // kernel.block_size
        shape = (OUTER, blocks, kernel.block_size * kernel.bits // 8)
        node = helper.make_node(
            kernel.op_type,
            ["a", "b", "scale"],
            ["y"],
            domain=contrib,
            K=INNER,
            N=OUTER,
            bits=kernel.bits,
            block_size=kernel.block_size,
            accuracy_level=kernel.accuracy_level,
        )
        weight = random.integers(0, 256, shape).astype(np.uint8)
        return node, {"b": weight, "scale": np.full(OUTER * blocks, 0.01, np.float32)}
    raise ValueError(f"no product is known for operator {kernel.op_type}: add it to machine_peaks")


def _best_seconds(work: Callable[[], object]) -> float:
    work()
    best_s = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - started)
    return best_s
