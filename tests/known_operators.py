"""torch's exporter asks onnxscript for all operators that it knows, once for every graph.

The answer is the same within a process, and takes a quarter of a tiny export: it is asked once.
"""

import functools
import importlib
import sys

__all__ = ["ask_once"]

_PACKAGE = "onnxscript._framework_apis."


def ask_once() -> None:
    """From now on, in this process. Imports torch and onnxscript, which takes seconds."""
    apis = importlib.import_module("torch.onnx._internal._lazy_import").onnxscript_apis
    once = functools.cache(apis.get_torchlib_ops)
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGE) and hasattr(module, "get_torchlib_ops"):
            module.get_torchlib_ops = once  # type: ignore[attr-defined]
