"""What torch's exporter asks anew for every graph, though the answer stays the same: asked once.

It reads the signatures of all operators that onnxscript knows, and makes a table of decompositions,
which `_keep_operators` of our exporter then leaves unused. And for every node, it looks for the
line of the source that it comes from. All that takes a third of a tiny export.
"""

import copy
import functools
import importlib
import sys
from typing import Any

__all__ = ["ask_once"]

_PACKAGE = "onnxscript._framework_apis."
_EXPORTER = "torch.onnx._internal.exporter."


def ask_once() -> None:
    """From now on, in this process. Imports torch and onnxscript, which takes seconds."""
    apis = importlib.import_module("torch.onnx._internal._lazy_import").onnxscript_apis
    once = functools.cache(apis.get_torchlib_ops)
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGE) and hasattr(module, "get_torchlib_ops"):
            module.get_torchlib_ops = once  # type: ignore[attr-defined]
    _read_signatures_once()
    _tabulate_once()
    importlib.import_module("torch.fx.config").do_not_emit_stack_traces = True  # type: ignore[attr-defined]


def _read_signatures_once() -> None:
    """Each graph has a registry of its own, to which it adds the exporter's translations."""
    registry: Any = importlib.import_module(_EXPORTER + "_registration").ONNXRegistry
    read = functools.cache(registry.from_torchlib)

    def from_torchlib(cls: Any, **opset_version: int) -> Any:
        del cls
        copied = copy.copy(read(**opset_version))
        copied.functions = {target: list(metas) for target, metas in copied.functions.items()}
        return copied

    registry.from_torchlib = classmethod(from_torchlib)


def _tabulate_once() -> None:
    """The operators differ in the translations alone, which are those of _TRANSLATIONS, always."""
    decomposition: Any = importlib.import_module(_EXPORTER + "_decomp")
    tabulate = decomposition.create_onnx_friendly_decomposition_table
    tables: dict[frozenset[Any], dict[Any, Any]] = {}

    def create(operators: set[Any]) -> dict[Any, Any]:
        key = frozenset(operators)
        if key not in tables:
            tables[key] = tabulate(operators)
        return dict(tables[key])

    decomposition.create_onnx_friendly_decomposition_table = create
