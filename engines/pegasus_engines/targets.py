"""Which engines can be built: targets, and the precisions of each."""

from collections.abc import Mapping

from pegasus_runtime.bundle import Target
from pegasus_runtime.spelling import did_you_mean

__all__ = ["PRECISIONS", "TARGETS", "UnavailableError", "check_available"]

TARGETS: Mapping[str, str] = {
    "onnx": "standard ONNX operators with Optimum's file names, for other runtimes",
    "ort": "ONNX Runtime, for pegasus-summarize and pegasus_runtime",
    "trt": "TensorRT: servers and Jetson",
    "trt-rtx": "TensorRT for RTX: desktops",
}
PRECISIONS: Mapping[str, str] = {
    "fp32": "as the checkpoint (float32)",
    "fp16": "half precision (float16), exact",
    "int8": "8-bit weights and activations; trt-rtx: 8-bit weights, the rest fp16",
    "int4": "4-bit weights, 8-bit embedding and activations; trt and trt-rtx: 4-bit weights of "
    "linear layers, the rest fp16",
}
_BUILT: Mapping[Target, tuple[str, ...]] = {
    "onnx": ("fp32", "fp16", "int8"),
    "ort": ("fp32", "fp16", "int8", "int4"),
    "trt": ("fp32", "fp16", "int8", "int4"),
    "trt-rtx": ("fp32", "fp16", "int8", "int4"),
}


class UnavailableError(Exception):
    """This version builds no engine of that target or precision."""


def check_available(target: str, precision: str) -> Target:
    """The target, if this version can build it at that precision.

    Raises: UnavailableError that names what can be built.
    """
    for name, precisions in _BUILT.items():
        if name == target and precision in precisions:
            return name
    is_target = target not in _BUILT
    asked, known = (target, TARGETS) if is_target else (precision, PRECISIONS)
    what = f"target {asked!r}" if is_target else f"precision {asked!r}"
    state = f"is not built for target {target!r}:"
    if asked not in known:
        state = f"is not known{did_you_mean(asked, known, meanings=known) or ':'}"
    offered = ", ".join(f"{name} at {' or '.join(each)}" for name, each in _BUILT.items())
    raise UnavailableError(f"{what} {state} this version offers {offered}")
