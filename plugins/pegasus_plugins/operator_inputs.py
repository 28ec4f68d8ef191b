"""What TensorRT tells a plugin, checked against the operator's specification: plain values.

Dimensions: B batch, H heads, S source, Dh head dim, L' rows of a plan, r its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pegasus_plugins.driver import AttentionShape
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.specification import DTYPES, AttentionSpec, SpecificationError, check_head_dim

__all__ = [
    "ATTRIBUTES",
    "TENSORRT_DTYPES",
    "InputTensor",
    "check_inputs",
    "input_shape",
    "spec_from_attributes",
]

ATTRIBUTES: dict[str, type[int] | type[float]] = {
    "num_heads": int,
    "block_size": int,
    "num_random_blocks": int,
    "longest_full": int,
    "scale": float,
}
"""All of the operator's, each required; in TensorRT int32 and float32."""
TENSORRT_DTYPES = {"HALF": "float16", "BF16": "bfloat16", "FLOAT": "float32", "INT32": "int32"}
"""TensorRT's names -> ours."""
_INPUTS = ("query", "key", "value", "key_mask", "plan")
_Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTensor:
    """dtype: such as "float16". shape: -1 for a dimension that is not known yet."""

    dtype: str
    shape: _Dims


def spec_from_attributes(attributes: Mapping[str, Sequence[float]]) -> AttentionSpec:
    """Attributes as TensorRT keeps them, arrays of one number each.

    Raises: SpecificationError if one is missing, unknown, or not one number of its type.
    """
    missing = [name for name in ATTRIBUTES if name not in attributes]
    if missing:
        raise SpecificationError(
            f"the node lacks {', '.join(missing)}: the operator needs {', '.join(ATTRIBUTES)}"
        )
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise SpecificationError(
            f"the node has {', '.join(unknown)}, which the operator does not take"
        )
    integers = {
        name: int(_one_number(name, attributes[name], kind))
        for name, kind in ATTRIBUTES.items()
        if kind is int
    }
    return AttentionSpec(
        num_heads=integers["num_heads"],
        block_size=integers["block_size"],
        num_random_blocks=integers["num_random_blocks"],
        longest_full=integers["longest_full"],
        scale=_one_number("scale", attributes["scale"], float),
    )


def _one_number(name: str, values: Sequence[float], kind: type[int] | type[float]) -> float:
    if len(values) != 1 or (kind is int and int(values[0]) != values[0]):
        raise SpecificationError(f"{name} is {list(values)}, expected one {kind.__name__}")
    return float(values[0])


def check_inputs(spec: AttentionSpec, inputs: Sequence[InputTensor]) -> None:
    """Raises: SpecificationError for inputs that the operator does not take."""
    if len(inputs) not in (4, 5):
        raise SpecificationError(
            f"got {len(inputs)} inputs, expected {', '.join(_INPUTS[:4])}, and perhaps plan"
        )
    query, key, value, key_mask = inputs[:4]
    if query.dtype not in DTYPES:
        raise SpecificationError(f"query is {query.dtype}, expected one of {', '.join(DTYPES)}")
    _check_shape("query", query.shape, (-1, spec.num_heads, -1, -1))
    if query.shape[3] >= 0:
        check_head_dim(query.shape[3])
    for name, tensor in (("key", key), ("value", value)):
        _check_dtype(name, tensor.dtype, query.dtype)
        _check_shape(name, tensor.shape, query.shape)
    _check_dtype("key_mask", key_mask.dtype, "int32")
    _check_shape("key_mask", key_mask.shape, (query.shape[0], query.shape[2]))
    if len(inputs) == 5:
        plan = inputs[4]
        _check_dtype("plan", plan.dtype, "int32")
        _check_shape("plan", plan.shape, (-1, spec.num_random_blocks))
        if min(plan.shape[0], query.shape[2]) >= 0:
            spec.check_plan(plan.shape[0], spec.num_random_blocks, query.shape[2])


def input_shape(spec: AttentionSpec, inputs: Sequence[InputTensor]) -> AttentionShape:
    """Inputs all of whose dimensions are known. Raises: SpecificationError."""
    check_inputs(spec, inputs)
    for name, tensor in zip(_INPUTS, inputs, strict=False):
        if min(tensor.shape) < 0:
            raise SpecificationError(f"{name} is {_listed(tensor.shape)}, expected a known shape")
    query, plan = inputs[0], inputs[4] if len(inputs) == 5 else None
    return AttentionShape(
        variant=KernelVariant(
            dtype=query.dtype,
            head_dim=query.shape[3],
            block_size=spec.block_size,
            plan_columns=0 if plan is None else plan.shape[1],
        ),
        batch=query.shape[0],
        length=query.shape[2],
        plan_rows=0 if plan is None else plan.shape[0],
    )


def _check_dtype(name: str, dtype: str, expected: str) -> None:
    if dtype != expected:
        raise SpecificationError(f"{name} is {dtype}, expected {expected}")


def _check_shape(name: str, shape: _Dims, expected: _Dims) -> None:
    """-1: whatever it is."""
    if len(shape) != len(expected) or any(
        x != y for x, y in zip(shape, expected, strict=True) if min(x, y) >= 0
    ):
        raise SpecificationError(f"{name} is {_listed(shape)}, expected {_listed(expected)}")


def _listed(shape: _Dims) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
