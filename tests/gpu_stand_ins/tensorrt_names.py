"""What the stand-in for TensorRT is talked to in: its enumerations, its logger, and a tensor."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Shape = tuple[int, ...]
Arrays = Mapping[str, npt.NDArray[Any]]
ALIGNMENT = 256
MOST_SIZES = 8  # Dims::MAX_DIMS
SCRATCHED = 0xEE


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    INT64 = 8
    BF16 = 9
    FP8 = 10


NUMPY = {
    DataType.FLOAT: "float32",
    DataType.HALF: "float16",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.BF16: "uint16",
}
IOMode = enum.Enum("IOMode", ["INPUT", "OUTPUT"])
Location = enum.Enum("Location", ["DEVICE", "HOST"])
Severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO"], start=0)
Strategy = enum.Enum("Strategy", ["STATIC", "USER_MANAGED"])
Specialization = enum.Enum("Specialization", ["LAZY", "EAGER", "NONE"])


class FakeLogger:
    INTERNAL_ERROR, ERROR = Severity.INTERNAL_ERROR, Severity.ERROR
    WARNING, INFO = Severity.WARNING, Severity.INFO

    def log(self, severity: Severity, message: str) -> None:
        raise AssertionError("to be overridden")


@dataclass
class FakeTensor:
    """ranges: per profile, smallest, best and largest shape; none for fixed shapes."""

    mode: str
    dtype: DataType
    shape: Shape
    ranges: tuple[tuple[Shape, Shape, Shape], ...] = ()
    location: Location = Location.DEVICE
