"""Puts the bodies of functions where they are called, but of those that plugins compute."""

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, ShapeInferencePass

from pegasus_plugins.specification import NAMESPACE

__all__ = ["inline_functions"]


def inline_functions(model: ir.Model) -> bool:
    """Changes the model in place; says whether it had any such function."""
    if not any(_is_inlined(function) for function in model.functions.values()):
        return False
    InlinePass(criteria=_is_inlined)(model)
    ShapeInferencePass()(model)  # what was inlined has no types
    return True


def _is_inlined(function: ir.Function) -> bool:
    return function.domain != NAMESPACE
