"""What a bundle's graphs take: of any, of those that plans are built of, and the plans' sizes."""

from pegasus_engines.plans.profiles import SparseLengths, plan_profiles
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.request.export import PlanRequest
from pegasus_runtime.bundle import Limits, PlanSpec, PluginSpec, Task

__all__ = ["any_size_limits", "plan_limits", "plan_spec"]

_MAX_BEAMS = 32
_DEFAULT_BEAMS = 8  # of every google/pegasus checkpoint
_DEFAULT_TARGET_TOKENS = 256


def any_size_limits(checkpoint: Checkpoint, task: Task, max_source_tokens: int) -> Limits:
    """Of graphs that take any size; a decoder of features reads its source."""
    target = checkpoint.config.max_position_embeddings
    if task == "feature-extraction":
        target = max(target, max_source_tokens)
    return Limits(
        max_source_tokens=max_source_tokens,
        max_target_tokens=target,
        max_beams=max(_MAX_BEAMS, _whole(checkpoint, "num_beams") or 1),
    )


def plan_limits(checkpoint: Checkpoint, request: PlanRequest, max_source_tokens: int) -> Limits:
    """Of plans: what was asked for, or what the checkpoint's own defaults need.

    Raises: UnsupportedError.
    """
    positions = checkpoint.config.max_position_embeddings
    beams, target = request.num_beams, request.max_target_tokens
    if beams is None:
        beams = _whole(checkpoint, "num_beams") or _DEFAULT_BEAMS
    if target is None:
        target = _longest_target(checkpoint) or min(_DEFAULT_TARGET_TOKENS, positions)
    for name, value, least, most in (
        ("--num-beams", beams, 1, _MAX_BEAMS),
        ("--max-target-tokens", target, 2, positions),
        ("--max-batch", request.max_batch, 1, 1024),
    ):
        if not least <= value <= most:
            raise UnsupportedError(f"{name} is {value}, expected from {least} to {most}")
    return Limits(
        max_source_tokens=max_source_tokens,
        max_target_tokens=target,
        max_beams=beams,
        max_batch=request.max_batch,
    )


def plan_spec(checkpoint: Checkpoint, limits: Limits, plugin: PluginSpec | None) -> PlanSpec:
    """The sizes that plans are built for, which hold everything that the limits allow."""
    config = checkpoint.config.block_sparse
    sparse = None
    if config is not None:
        sparse = SparseLengths(
            longest_full=config.longest_full,
            block_size=config.block_size,
            is_told=plugin is None,
        )
    profiles = plan_profiles(
        max_source_tokens=limits.max_source_tokens,
        max_batch=limits.max_batch or 1,
        num_beams=limits.max_beams,
        max_target_tokens=limits.max_target_tokens,
        sparse=sparse,
    )
    return PlanSpec(num_beams=limits.max_beams, profiles=profiles, plugin=plugin)


def _longest_target(checkpoint: Checkpoint) -> int | None:
    """The start token and max_new_tokens, which go before max_length."""
    new_tokens = _whole(checkpoint, "max_new_tokens")
    return _whole(checkpoint, "max_length") if new_tokens is None else 1 + new_tokens


def _whole(checkpoint: Checkpoint, name: str) -> int | None:
    value = checkpoint.generation.get(name)
    return value if isinstance(value, int) else None
