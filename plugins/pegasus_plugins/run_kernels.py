"""The Triton kernels over torch tensors: on a GPU, or on the CPU through Triton's interpreter.

For tests and benchmarks; an engine launches the compiled kernels itself. On the CPU, set
TRITON_INTERPRET=1 before this module is imported.

Dimensions: B batch, H heads, S source, Dh head dim, r columns of a plan.
"""

import torch
import triton.language as tl
from torch import Tensor

from pegasus_plugins.kernel import attend_blocks, combine_splits
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.launch import MOST_PROGRAMS_PER_SM, plan_launch
from pegasus_plugins.specification import AttentionSpec, SpecificationError
from pegasus_plugins.tuning import Tuning, tune

__all__ = ["attend", "variant_of"]

_INTERPRETED_SMS = 4  # so that the ends are split there too
_USUAL_PROGRAMS = 2
"""Of the default variants, on most GPUs: what is compiled here is not asked what it takes."""


def attend(
    spec: AttentionSpec,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor,
    plan: Tensor | None = None,
    *,
    num_sms: int | None = None,
    tuning: Tuning | None = None,
) -> Tensor:
    """query, key, value [B, H, S, Dh], key_mask [B, S] int32, plan [L', r] int32 -> [B, H, S, Dh].

    All contiguous. num_sms: None for those of the GPU. tuning: None for `tune`'s.
    Raises: SpecificationError.
    """
    batch, heads, length, head_dim = query.shape
    _check_inputs(spec, (query, key, value, key_mask), plan)
    variant = variant_of(spec, query, plan)
    cut = tuning or tune(variant)
    launch = plan_launch(
        spec,
        batch=batch,
        length=length,
        head_dim=head_dim,
        tile_rows=cut.tile_rows,
        num_sms=num_sms or _count_sms(query),
        programs_per_sm=MOST_PROGRAMS_PER_SM if query.device.type == "cpu" else _USUAL_PROGRAMS,
    )
    output = torch.empty_like(query)
    partial = query.new_empty(launch.workspace_bytes // 4, dtype=torch.float32)
    sizes = {
        "HEAD_DIM": head_dim,
        "BLOCK": spec.block_size,
        "TILE_M": cut.tile_rows,
        "num_warps": cut.num_warps,
    }
    plan_rows = 0 if plan is None else plan.shape[0] // heads
    numbers = (length, heads, spec.longest_full, plan_rows, launch.num_splits)
    attend_blocks[(launch.num_programs,)](
        *(query, key, value, key_mask, plan),
        *numbers,
        *(spec.scale, spec.first_bias(has_plan=plan is not None)),
        *(output, partial),
        **sizes,
        TILE_N=cut.tile_keys,
        PLAN_COLUMNS=variant.plan_columns,
        OPERAND=_operand(query),
        num_stages=cut.num_stages,
    )
    if launch.combine_programs:
        combine_splits[(launch.combine_programs,)](
            *(partial, key_mask, length, heads, launch.num_splits, output), **sizes
        )
    return output


def _check_inputs(
    spec: AttentionSpec, tensors: tuple[Tensor, Tensor, Tensor, Tensor], plan: Tensor | None
) -> None:
    """tensors: query, key, value, key_mask."""
    batch, heads, length, _ = shape = tensors[0].shape
    if heads != spec.num_heads:
        raise SpecificationError(f"query has {heads} heads, num_heads is {spec.num_heads}")
    shapes = {"key": shape, "value": shape, "key_mask": (batch, length)}
    for tensor, (name, expected) in zip(tensors[1:], shapes.items(), strict=True):
        if tensor.shape != expected:
            raise SpecificationError(
                f"{name} has shape {list(tensor.shape)}, expected {list(expected)}"
            )
    if plan is not None:
        spec.check_plan(plan.shape[0], plan.shape[1], length)
    if not all(x.is_contiguous() for x in (*tensors, *([] if plan is None else [plan]))):
        raise SpecificationError("an input is not contiguous, as the kernels expect it: copy it")


def variant_of(spec: AttentionSpec, query: Tensor, plan: Tensor | None) -> KernelVariant:
    """Which kernel these inputs need."""
    return KernelVariant(
        dtype=str(query.dtype).removeprefix("torch."),
        head_dim=query.shape[3],
        block_size=spec.block_size,
        plan_columns=0 if plan is None else plan.shape[1],
    )


def _operand(query: Tensor) -> tl.dtype:
    if query.dtype == torch.bfloat16 and query.device.type == "cuda":
        return tl.bfloat16
    return tl.float16 if query.dtype == torch.float16 else tl.float32


def _count_sms(query: Tensor) -> int:
    if query.device.type != "cuda":
        return _INTERPRETED_SMS
    return int(torch.cuda.get_device_properties(query.device).multi_processor_count)
