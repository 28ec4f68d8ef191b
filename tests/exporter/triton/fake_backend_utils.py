"""A stand-in of Triton's module `triton_python_backend_utils`, as far as model.py uses it.

Source: triton-inference-server/python_backend (July 2026): README.md, src/pb_stub.cc (the classes
and their methods), src/resources/triton_python_backend_utils.py (the rest).
"""

from __future__ import annotations

import copy
import itertools
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


class TritonError:
    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS = range(7)
    CANCELLED = 7

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        self._message, self._code = message, code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class Tensor:
    """Strings go through bytes, as they do there (`serialize_byte_tensor`)."""

    def __init__(self, name: str, array: npt.NDArray[Any]) -> None:
        if not array.dtype.hasobject and array.dtype.kind not in "bif":
            raise ValueError(f"{name} is {array.dtype}, which has no type there")
        self._name, self._array = name, array
        if array.dtype.hasobject:
            packed = b"".join(struct.pack("<I", len(each)) + each for each in array.reshape(-1))
            self._array = np.array(list(_unpack(packed)), dtype=np.object_).reshape(array.shape)

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> npt.NDArray[Any]:
        return self._array


def _unpack(packed: bytes) -> Iterable[bytes]:
    while packed:
        (length,) = struct.unpack("<I", packed[:4])
        yield packed[4 : 4 + length]
        packed = packed[4 + length :]


class InferenceRequest:
    """is_cancelled: asked whenever model.py asks."""

    def __init__(
        self, tensors: list[Tensor], is_cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self._tensors, self.is_cancelled = tensors, is_cancelled

    def inputs(self) -> list[Tensor]:
        return self._tensors


class InferenceResponse:
    def __init__(
        self, output_tensors: Iterable[Tensor] = (), error: TritonError | None = None
    ) -> None:
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def error(self) -> TritonError | None:
        return self._error


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    return next((each for each in request.inputs() if each.name() == name), None)


class ModelConfig:
    def __init__(self, config: dict[str, Any]) -> None:
        self._config = {"max_batch_size": 0, "input": [], "output": [], **copy.deepcopy(config)}

    def as_dict(self) -> dict[str, Any]:
        return self._config

    def set_max_batch_size(self, size: int) -> None:
        if self._config["max_batch_size"] > size:
            raise ValueError("configuration specified max_batch_size")
        self._config["max_batch_size"] = size

    def set_dynamic_batching(self) -> None:
        self._config.setdefault("dynamic_batching", {})

    def add_input(self, properties: dict[str, Any]) -> None:
        self._add("input", properties, ("name", "data_type", "dims", "optional"))

    def add_output(self, properties: dict[str, Any]) -> None:
        self._add("output", properties, ("name", "data_type", "dims"))

    def _add(self, kind: str, properties: dict[str, Any], valid: tuple[str, ...]) -> None:
        if not {"name", "data_type", "dims"} <= properties.keys() <= set(valid):
            raise ValueError(f"{kind} {properties}")
        for there in self._config[kind]:
            if there["name"] == properties["name"]:
                if any(there[each] != properties[each] for each in ("data_type", "dims")):
                    raise ValueError(f"{kind} {properties['name']} is there, and another")
                return
        self._config[kind].append(properties)


def after(count: int) -> Callable[[], bool]:
    """Not cancelled when it is asked for so many times, and cancelled from then on."""
    asked = itertools.count()
    return lambda: next(asked) >= count
