"""Attentions to compute: random queries, keys and values, masks and plans."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_plugins.specification import AttentionSpec

__all__ = ["AttentionCase", "AttentionInputs", "make_spec", "random_inputs"]

Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]
_MASKS = ("none", "end", "start", "holes", "blocks")


def make_spec(
    *,
    num_heads: int = 2,
    block_size: int = 16,
    num_random_blocks: int = 3,
    longest_full: int = 0,
    head_dim: int = 32,
) -> AttentionSpec:
    """Of the usual scale."""
    return AttentionSpec(
        num_heads=num_heads,
        block_size=block_size,
        num_random_blocks=num_random_blocks,
        longest_full=longest_full,
        scale=1 / math.sqrt(head_dim),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCase:
    """One attention. mask: what is padding: "none"; "end": a part of the last document's end, of
    the first one's less; "start": the first two thirds; "holes": keys at random; "blocks": whole
    blocks, the first among them."""

    length: int
    block_size: int = 16
    head_dim: int = 32
    num_random_blocks: int = 3
    num_heads: int = 1
    batch: int = 1
    longest_full: int = 0
    dtype: str = "float32"
    mask: str = "none"
    has_plan: bool = False

    @property
    def spec(self) -> AttentionSpec:
        return make_spec(
            num_heads=self.num_heads,
            block_size=self.block_size,
            num_random_blocks=self.num_random_blocks,
            longest_full=self.longest_full,
            head_dim=self.head_dim,
        )

    def __str__(self) -> str:
        """Names the test."""
        pattern = "plan" if self.has_plan else "hf"
        return (
            f"{self.dtype}-{self.batch}x{self.num_heads}x{self.length}x{self.head_dim}-"
            f"b{self.block_size}-r{self.num_random_blocks}-{pattern}-{self.mask}"
            + (f"-full{self.longest_full}" if self.longest_full else "")
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionInputs:
    """query, key, value [B, H, S, Dh], key_mask [B, S] int32, plan [L', r] int32."""

    query: Tensor
    key: Tensor
    value: Tensor
    key_mask: Tensor
    plan: Tensor | None

    @property
    def in_float64(self) -> tuple[Float64, Float64, Float64]:
        """query, key and value, for the reference."""
        query, key, value = (x.double().numpy() for x in (self.query, self.key, self.value))
        return query, key, value


def random_inputs(case: AttentionCase, *, seed: int = 0) -> AttentionInputs:
    """Normally distributed; scores have a deviation of 2, so that weights differ much."""
    rng = np.random.default_rng(seed)
    shape = (case.batch, case.num_heads, case.length, case.head_dim)
    dtype: torch.dtype = getattr(torch, case.dtype)
    query, key, value = (torch.from_numpy(rng.standard_normal(shape)) for _ in range(3))
    return AttentionInputs(
        query=(2 * query).to(dtype),
        key=key.to(dtype),
        value=value.to(dtype),
        key_mask=torch.from_numpy(_random_mask(case, rng)),
        plan=torch.from_numpy(_random_plan(case, rng)) if case.has_plan else None,
    )


def _random_mask(case: AttentionCase, rng: np.random.Generator) -> Integers:
    """[B, S] int32."""
    assert case.mask in _MASKS
    mask = np.ones((case.batch, case.length), np.int32)
    if case.mask == "end":
        for row in range(case.batch):
            mask[row, case.length * (row + 1) // (case.batch + 1) + 1 :] = 0
    elif case.mask == "start":
        mask[:, : 2 * case.length // 3] = 0
    elif case.mask == "holes":
        mask = rng.integers(0, 2, mask.shape, dtype=np.int32) * 7  # anything but 0 is a key
    elif case.mask == "blocks":
        block = np.arange(case.length) // case.block_size
        mask[:, np.isin(block % 4, (0, 3))] = 0
    return mask


def _random_plan(case: AttentionCase, rng: np.random.Generator) -> Integers:
    """[L', r] int32: one row per head more than is needed, some blocks beyond the source, some
    that are seen already, some twice."""
    num_blocks = case.spec.num_blocks(case.length)
    rows = max(num_blocks - 2, 0) + 1
    shape = (case.num_heads * rows, case.num_random_blocks)
    plan = rng.integers(0, num_blocks + 2, shape, dtype=np.int32)
    plan[0] = plan[0, 0]
    return plan
