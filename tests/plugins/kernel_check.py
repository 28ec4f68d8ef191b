"""Are the kernels right on this GPU? Each against the reference in float64, at small shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harness.table import Column, Table
from pegasus_plugins import reference
from pegasus_plugins.specification import AttentionSpec

TOLERANCES = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}
"""Of outputs of about unit size; bfloat16 has 8 bits."""
COLUMNS = ("kernel against the reference", "tokens", "head dim", "block")
ERROR = Column(title="error", digits=1, scientific=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCase:
    """One attention: some keys and queries are padding."""

    dtype: str
    length: int
    block_size: int = 64
    head_dim: int = 64
    has_plan: bool = False
    longest_full: int = 0
    batch: int = 2
    heads: int = 2

    @property
    def spec(self) -> AttentionSpec:
        return AttentionSpec(
            num_heads=self.heads,
            block_size=self.block_size,
            num_random_blocks=3,
            longest_full=self.longest_full,
            scale=1 / math.sqrt(self.head_dim),
        )

    def is_right(self, error: float) -> bool:
        """error: may be nan."""
        return error <= TOLERANCES[self.dtype]


def gpu_cases() -> list[CheckCase]:
    """All dtypes, head dims and block sizes, both patterns, in full and not, ends split and not."""
    cases = []
    for dtype in TOLERANCES:
        for head_dim, block in ((32, 16), (64, 32), (64, 64), (128, 64), (64, 128)):
            length = 11 * block - 7
            case = CheckCase(dtype=dtype, length=length, block_size=block, head_dim=head_dim)
            cases.append(case)
        cases.append(CheckCase(dtype=dtype, length=700, has_plan=True))
        cases.append(CheckCase(dtype=dtype, length=700, heads=16))
        cases.append(CheckCase(dtype=dtype, length=700, longest_full=704, batch=1))
    return cases


def tiny_cases() -> list[CheckCase]:
    """For Triton's interpreter, which takes milliseconds for a block."""
    return [
        CheckCase(dtype=dtype, length=75, block_size=16, head_dim=32, batch=1, has_plan=has_plan)
        for dtype, has_plan in (("float32", False), ("float16", True))
    ]


def check_kernel(case: CheckCase, device: str) -> float:
    """The largest error of any number of the output."""
    from pegasus_plugins.run_kernels import attend

    rng = np.random.default_rng(0)
    shape = (case.batch, case.heads, case.length, case.head_dim)
    dtype: torch.dtype = getattr(torch, case.dtype)
    tensors = [torch.from_numpy(rng.standard_normal(shape)).to(dtype) for _ in range(3)]
    mask = (rng.random((case.batch, case.length)) < 0.9).astype(np.int32)
    plan = None
    if case.has_plan:
        num_blocks = case.spec.num_blocks(case.length)
        rows = case.heads * num_blocks
        plan = rng.integers(0, num_blocks + 1, (rows, 3), dtype=np.int32)
    inputs = [*tensors, torch.from_numpy(mask), *([] if plan is None else [torch.from_numpy(plan)])]
    got = attend(case.spec, *(x.to(device) for x in inputs))
    exact = [x.double().numpy() for x in tensors]
    expected = reference.attend(case.spec, exact[0], exact[1], exact[2], mask, plan)
    return float(np.abs(got.double().cpu().numpy() - expected).max())


def check_table(results: Sequence[tuple[CheckCase, float]]) -> Table:
    """A row for each case and its error."""
    columns = (*(Column(title=title) for title in COLUMNS), ERROR, Column(title="which is"))
    rows = []
    for case, error in results:
        pattern = "in full" if case.longest_full else "plan" if case.has_plan else "hf-eval"
        name, verdict = f"{case.dtype}, {pattern}", "right" if case.is_right(error) else "WRONG"
        rows.append((name, case.length, case.head_dim, case.block_size, error, verdict))
    return Table(columns=columns, rows=tuple(rows))
