"""Plans for the stand-in of TensorRT that compute what real ones do: ONNX Runtime runs the graph.

A plan is a small file that names the graph it was made of, and its profiles. All that lies between
the public interface and the kernels is the runtime's own then: profiles, bindings, buffers, copies,
recorded steps, and the order in which they happen.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpu_stand_ins.tensorrt import Arrays, DataType, FakeEngine, FakeTensor, FakeTensorRT, Shape

__all__ = ["open_onnx_plan", "write_onnx_plans"]

CAPABILITY = "8.9"  # of the stand-in for CUDA
SCRATCH_BYTES = 4096
DTYPES = {
    "tensor(float)": DataType.FLOAT,
    "tensor(float16)": DataType.HALF,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
}
Sizes = Mapping[str, Sequence[int]]


def write_onnx_plans(graphs: Path, output: Path, version: str) -> None:
    """A bundle of plans, of one that was exported with --onnx-only; the graphs stay where they are.

    version: of the TensorRT that is stood in for.
    """
    shutil.copytree(graphs, output, copy_function=os.link)
    manifest = json.loads((graphs / "manifest.json").read_text("utf-8"))
    manifest["plans"] |= {"version": version, "compute_capabilities": [CAPABILITY]}
    if manifest["plans"].get("plugin"):
        manifest["plans"]["plugin"]["way"] = "aot"  # the graph has the plugin's body
    for name, spec in manifest["graphs"].items():
        profiles = manifest["plans"]["profiles"][name]
        text = json.dumps({"graph": str((graphs / spec["file"]).resolve()), "profiles": profiles})
        (output / spec["file"]).unlink()
        del manifest["files"][spec["file"]]
        spec["file"] = f"{name}.plan"
        (output / spec["file"]).write_text(text, encoding="utf-8")
        manifest["files"][spec["file"]] = {"bytes": len(text), "sha256": "0" * 64}
    (output / "manifest.json").unlink()
    (output / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def open_onnx_plan(library: FakeTensorRT, plan: bytes) -> FakeEngine:
    """An engine that runs the graph of such a plan."""
    import onnxruntime

    found = json.loads(plan)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(found["graph"], options, ["CPUExecutionProvider"])
    profiles: list[Sizes] = found["profiles"]
    tensors, symbols = {}, {}
    for values, mode in ((session.get_inputs(), "INPUT"), (session.get_outputs(), "OUTPUT")):
        for value in values:
            tensors[value.name] = _tensor(value, mode, profiles)
            symbols[value.name] = value.shape

    def infer(name: str, shapes: Mapping[str, Shape]) -> Shape:
        sizes = {
            symbol: size
            for each, shape in shapes.items()
            for symbol, size in zip(symbols[each], shape, strict=True)
            if isinstance(symbol, str)
        }
        return tuple(_product(symbol, sizes) for symbol in symbols[name])

    def compute(arrays: Arrays) -> None:
        inputs = {name: x for name, x in arrays.items() if tensors[name].mode == "INPUT"}
        outputs = [name for name in arrays if name not in inputs]
        for name, array in zip(outputs, session.run(outputs, inputs), strict=True):
            np.copyto(arrays[name], array)

    return FakeEngine(
        tensors=tensors,
        library=library,
        scratch_bytes=(SCRATCH_BYTES,) * len(profiles),
        compute=compute,
        infer=infer,
    )


def _tensor(value: Any, mode: str, profiles: Sequence[Sizes]) -> FakeTensor:
    shape = tuple(-1 if isinstance(size, str) else size for size in value.shape)
    ranges: tuple[tuple[Shape, Shape, Shape], ...] = ()
    if mode == "INPUT" and -1 in shape:
        bounds = [
            [
                tuple(size if isinstance(size, int) else sizes[size][end] for size in value.shape)
                for end in range(3)
            ]
            for sizes in profiles
        ]
        ranges = tuple((low, best, high) for low, best, high in bounds)
    return FakeTensor(mode, DTYPES[value.type], shape, ranges)


def _product(symbol: str | int, sizes: Mapping[str, int]) -> int:
    """Of "batch*beams", and of what is a number already."""
    factors = [symbol] if isinstance(symbol, int) else symbol.replace(" ", "").split("*")
    return int(np.prod([x if isinstance(x, int) else sizes[x] for x in factors]))
