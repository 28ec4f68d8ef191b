"""The module `tensorrt` as far as plugins need it; names and values are TensorRT's."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

DataType = enum.Enum("DataType", {"FLOAT": 0, "HALF": 1, "INT8": 2, "INT32": 3, "BF16": 9})
TensorFormat = enum.Enum("TensorFormat", ["LINEAR", "CHW32"])
PluginFieldType = enum.Enum("PluginFieldType", {"FLOAT32": 1, "INT32": 5})
TensorRTPhase = enum.Enum("TensorRTPhase", ["BUILD", "RUNTIME"])
QuickPluginCreationRequest = enum.Enum("QuickPluginCreationRequest", ["STRICT_AOT"])


class Base:
    def __init__(self) -> None:
        if type(self) is Base:
            raise AssertionError("to be derived from")


class IPluginV3(Base): ...


class IPluginV3OneCore(Base): ...


class IPluginV3OneBuild(Base): ...


class IPluginV3OneRuntime(Base): ...


class IPluginCreatorV3One(Base): ...


@dataclass
class PluginField:
    name: str
    data: NDArray[Any]
    type: PluginFieldType


class DimsExprs(list[Any]): ...


@dataclass
class PluginTensorDesc:
    type: DataType = DataType.HALF
    dims: tuple[int, ...] = ()
    format: TensorFormat = TensorFormat.LINEAR


@dataclass
class DynamicPluginTensorDesc:
    desc: PluginTensorDesc = field(default_factory=PluginTensorDesc)
    min: tuple[int, ...] = ()
    opt: tuple[int, ...] = ()
    max: tuple[int, ...] = ()


class FakeRegistry:
    """Of one plugin. libraries: those that can be loaded."""

    def __init__(self) -> None:
        self.creators: list[tuple[Any, str]] = []
        self.libraries: set[str] = set()
        self.loaded: list[str] = []

    def register_creator(self, creator: Any, plugin_namespace: str) -> bool:
        self.creators.append((creator, plugin_namespace))
        return len(self.creators) == 1

    def load_library(self, plugin_path: str) -> object | None:
        self.loaded.append(plugin_path)
        return object() if plugin_path in self.libraries else None


class FakeTensorRT(ModuleType):
    """Stands in for the module `tensorrt`."""

    DataType = DataType
    TensorFormat = TensorFormat
    PluginFieldType = PluginFieldType
    TensorRTPhase = TensorRTPhase
    QuickPluginCreationRequest = QuickPluginCreationRequest
    IPluginV3 = IPluginV3
    IPluginV3OneCore = IPluginV3OneCore
    IPluginV3OneBuild = IPluginV3OneBuild
    IPluginV3OneRuntime = IPluginV3OneRuntime
    IPluginCreatorV3One = IPluginCreatorV3One
    PluginField = PluginField
    PluginFieldCollection = list
    PluginFieldCollection_ = tuple
    DimsExprs = DimsExprs
    PluginTensorDesc = PluginTensorDesc
    DynamicPluginTensorDesc = DynamicPluginTensorDesc

    def __init__(self, name: str = "tensorrt") -> None:
        super().__init__(name)
        self.__version__ = "10.16.1"
        self.registry = FakeRegistry()

    def get_plugin_registry(self) -> FakeRegistry:
        return self.registry

    def without(self, *names: str) -> FakeTensorRT:
        """One that lacks some names."""
        hidden = set(names)

        class Older(FakeTensorRT):
            def __getattribute__(self, name: str) -> Any:
                if name in hidden:
                    raise AttributeError(name)
                return super().__getattribute__(name)

        return Older(self.__name__)


def ints(*values: int) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)
