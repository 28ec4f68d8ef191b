"""What stands between this computer and each target: to run its bundles, and to make them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pegasus_runtime.diagnosis.finding import Finding

__all__ = ["Engines", "find_targets"]

_EXPORTER = ("torch", "onnx", "onnx_ir", "onnxscript", "safetensors", "rich", "threadpoolctl")

Engines = dict[str, Finding]
"""Of diagnosis/engines.py, by the names ort, trt, trt-rtx and cuda."""


def find_targets(engines: Engines, gpus: Sequence[Finding]) -> list[Finding]:
    """One line a target, and one on exporting."""
    has_gpu = any(each.name.startswith("GPU ") for each in gpus)
    return [
        _verdict("run ort (CPU)", [_need(engines["ort"], "pip install 'pegasus-edge[cpu]'")]),
        _verdict("run ort (GPU)", _needs_of_ort_gpu(engines, has_gpu=has_gpu)),
        *(
            _verdict(f"run {target}", _needs_of_plans(engines, target, extra, has_gpu=has_gpu))
            for target, extra in (("trt", "trt"), ("trt-rtx", "rtx"))
        ),
        _verdict("export", _needs_of_export()),
        _verdict("load by name", _needs_of_names()),
    ]


def _needs_of_ort_gpu(engines: Engines, *, has_gpu: bool) -> list[str]:
    has_cuda = "CUDA" in engines["ort"].value
    install = "" if has_cuda else "pip install 'pegasus-edge[gpu]' (CUDA 12: [gpu-cu12]) for [cpu]"
    return [install or _need_of_cuda(engines, "gpu"), "" if has_gpu else "an NVIDIA GPU"]


def _needs_of_plans(engines: Engines, target: str, extra: str, *, has_gpu: bool) -> list[str]:
    install = f"pip install 'pegasus-edge[{extra}]' (CUDA 12: [{extra}-cu12])"
    need = _need(engines[target], install) or _need_of_cuda(engines, extra)
    return [need, "" if has_gpu else "an NVIDIA GPU"]


def _need_of_cuda(engines: Engines, extra: str) -> str:
    """The extra brings it along, so that it is missing only where somebody took it out."""
    return _need(engines["cuda"], f"pip install 'pegasus-edge[{extra}]' (for cuda-bindings)")


def _needs_of_export() -> list[str]:
    missing = [name for name in _EXPORTER if find_spec(name) is None]
    if not missing:
        return []
    return [f"pip install 'pegasus-edge[export]' (missing: {', '.join(missing)})"]


def _needs_of_names() -> list[str]:
    is_there = find_spec("huggingface_hub") is not None
    return [] if is_there else ["pip install 'pegasus-edge[hub]'"]


def _need(finding: Finding, advice: str) -> str:
    return "" if finding.is_fine else advice


def _verdict(name: str, needs: Sequence[str]) -> Finding:
    missing = list(dict.fromkeys(each for each in needs if each))
    if not missing:
        return Finding(name=name, value="ready", is_fine=True)
    return Finding(name=name, value="not here", is_fine=None, advice="; ".join(missing))
