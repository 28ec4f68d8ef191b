"""The module `tensorrt.plugin` as far as an ahead-of-time plugin needs it.

Expressions are text; what the real one checks of signatures is checked here. Names are TensorRT's.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.fake_tensorrt import DataType


class SymInt32:
    def __init__(self, value: int | str | SymInt32) -> None:
        self.value = value.value if isinstance(value, SymInt32) else value

    def __mul__(self, other: int | SymInt32) -> SymInt32:
        return SymInt32(f"({self.value} * {SymInt32(other).value})")

    def __floordiv__(self, other: int) -> SymInt32:
        return SymInt32(f"({self.value} // {other})")

    @property
    def is_constant(self) -> bool:
        return isinstance(self.value, int)

    def constant_value(self) -> int:
        assert isinstance(self.value, int)
        return self.value


class SymIntExprs(list[SymInt32]):
    @classmethod
    def from_tuple(cls, values: list[SymInt32]) -> SymIntExprs:
        assert all(isinstance(x, SymInt32) for x in values)
        return cls(values)


@dataclass
class TensorDesc:
    dtype: DataType
    shape_expr: list[SymInt32]

    def like(self) -> TensorDesc:
        return TensorDesc(self.dtype, list(self.shape_expr))


@dataclass
class KernelLaunchParams:
    grid_x: int | SymInt32 = 1
    block_x: int | SymInt32 = 1
    shared_mem: int | SymInt32 = 0


@dataclass
class Definition:
    describe: Callable[..., Any]
    implement: Callable[..., Any] | None = None
    tensors: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


class FakePluginModule(ModuleType):
    SymInt32 = SymInt32
    SymIntExprs = SymIntExprs
    TensorDesc = TensorDesc
    KernelLaunchParams = KernelLaunchParams

    def __init__(self) -> None:
        super().__init__("tensorrt.plugin")
        self.definitions: dict[str, Definition] = {}

    @staticmethod
    def cdiv(first: SymInt32, second: int) -> SymInt32:
        return SymInt32(f"cdiv({first.value}, {second})")

    def register(self, plugin_id: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            if plugin_id in self.definitions:
                raise ValueError("already has a definition")
            definition = Definition(function)
            signature = inspect.signature(function)
            for name, parameter in signature.parameters.items():
                assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
                assert parameter.default is inspect.Parameter.empty
                if parameter.annotation is TensorDesc:
                    assert not definition.attributes
                    definition.tensors.append(name)
                else:
                    definition.attributes[name] = parameter.annotation
            assert typing.get_args(signature.return_annotation) == (TensorDesc,)
            self.definitions[plugin_id] = definition
            return function

        return decorate

    def aot_impl(self, plugin_id: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            definition = self.definitions[plugin_id]
            signature = inspect.signature(function)
            expected = [*definition.tensors, *definition.attributes, "outputs", "tactic"]
            assert list(signature.parameters) == expected
            returns = (str, str, KernelLaunchParams, SymIntExprs)
            assert typing.get_args(signature.return_annotation) == returns
            definition.implement = function
            return function

        return decorate


def attribute(annotation: Any, value: float) -> NDArray[Any]:
    """As TensorRT passes it: a number of the node, as an array of the annotated type."""
    (dtype,) = typing.get_args(typing.get_args(annotation)[1])
    return np.array([value], dtype)
