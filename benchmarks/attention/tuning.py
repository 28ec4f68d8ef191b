"""Which cut of the kernel is the fastest on this GPU? A small grid of them, for each length."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from attention.engines import DenseInputs
from attention.timing import Call, EventTimer, measure_in_turns
from harness.table import Cell, Table, columns_of
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.specification import AttentionSpec
from pegasus_plugins.tuning import Tuning, tune

TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedLength:
    """Median milliseconds of every cut that runs, and why others do not."""

    batch: int
    tokens: int
    usual: Tuning
    """What `tune` chooses."""
    median_ms: Mapping[Tuning, float]
    refused: Mapping[Tuning, str]

    @property
    def best(self) -> Tuning:
        return min(self.median_ms, key=lambda cut: self.median_ms[cut])


def candidate_tunings(variant: KernelVariant) -> list[Tuning]:
    """`tune`'s choice first."""
    tiles = [tile for tile in (16, 32, 64, 128) if tile <= variant.block_size]
    grid = itertools.product(
        [t for t in tiles if t >= 32] or tiles, tiles[-2:], (2, 4, 8), (2, 3, 4)
    )
    cuts = [
        Tuning(tile_rows=rows, tile_keys=keys, num_warps=warps, num_stages=stages)
        for rows, keys, warps, stages in grid
        if warps <= rows // 8
    ]
    if variant.block_size == 64 and variant.dtype != "float32":  # in pairs: see pairs.py
        cuts += [
            Tuning(tile_rows=128, tile_keys=64, num_warps=warps, num_stages=stages)
            for warps, stages in itertools.product((4, 8), (2, 3))
        ]
    return list(dict.fromkeys([tune(variant), *cuts]))


def tune_length(
    timer: EventTimer, spec: AttentionSpec, inputs: DenseInputs, *, rounds: int
) -> TunedLength:
    """Cuts that do not compile or do not fit, or give another output, are refused."""
    from attention.pairs import attend_in_pairs
    from pegasus_plugins.run_kernels import attend, variant_of

    variant = variant_of(spec, inputs.query, None)
    tensors = (inputs.query, inputs.key, inputs.value, inputs.key_mask)
    expected = attend(spec, *tensors)
    calls: dict[Tuning, Call] = {}
    refused = {}
    for cut in candidate_tunings(variant):
        compute = attend if cut.tile_rows <= spec.block_size else attend_in_pairs
        try:
            got = compute(spec, *tensors, tuning=cut)
            torch.cuda.synchronize()
        except Exception as err:  # of many types: Triton's, LLVM's, the driver's
            refused[cut] = (str(err) or type(err).__name__).splitlines()[0]
            continue
        difference = float((got - expected).abs().max())
        if not difference <= TOLERANCE:
            refused[cut] = f"its output differs by {difference:.1e}"
            continue
        calls[cut] = partial(compute, spec, *tensors, tuning=cut)
    times = measure_in_turns(timer, calls, rounds=rounds)
    return TunedLength(
        batch=inputs.query.shape[0],
        tokens=inputs.query.shape[2],
        usual=tune(variant),
        median_ms={cut: statistics.median(values) for cut, values in times.items()},
        refused=refused,
    )


def tuned_table(found: Sequence[TunedLength]) -> Table:
    """The best of each length beside `tune`'s choice."""
    titles = ("rows", "keys", "warps", "stages", "best|ms|4", "now|ms|4", "gain|x|2")
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        best, now_ms = each.best, each.median_ms[each.usual]
        best_ms = each.median_ms[best]
        cut = (best.tile_rows, best.tile_keys, best.num_warps, best.num_stages)
        name = f"batch {each.batch}, {each.tokens} tokens"
        rows.append((name, *cut, best_ms, now_ms, now_ms / best_ms))
    return Table(columns=columns_of("", *titles), rows=tuple(rows))
