"""How the kernels are cut for each kind of number and size: tiles, warps, stages of the pipeline.

Chosen by counting registers and shared memory (`python -m pegasus_plugins.compile_kernels` prints
them): nothing spills, no program holds more shared memory than the GPUs with the least of it have
for one (99 KiB: 8.6, 8.9 and 12.0), and two of fp16 or bf16 run there at once for head dims up to
64. `plugins/README.md` has the figures.
"""

from dataclasses import dataclass

from pegasus_plugins.kernel_file import KernelVariant

__all__ = ["Tuning", "tune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """tile_rows queries against tile_keys keys at a time, by num_warps warps; num_stages tiles of
    keys and values are under way at once."""

    tile_rows: int
    tile_keys: int
    num_warps: int
    num_stages: int


def tune(variant: KernelVariant) -> Tuning:
    """The cut of a variant's kernels."""
    if variant.dtype == "float32":  # no tensor cores: sums of products in registers
        tile = min(variant.block_size, 32)
        warps = 8 if tile == 32 and variant.head_dim >= 64 else 4  # 4 spill
        return Tuning(tile_rows=tile, tile_keys=tile, num_warps=warps, num_stages=2)
    tile = min(variant.block_size, 64)
    warps = 4 if tile == 64 else tile // 16
    stages = 3 if variant.head_dim <= 64 else 2
    return Tuning(tile_rows=tile, tile_keys=tile, num_warps=warps, num_stages=stages)
