"""Kernel files whose images are names, for a driver that runs nothing."""

from __future__ import annotations

from typing import Any

from pegasus_plugins.kernel_file import ATTEND, COMBINE, KernelFile, KernelImage, KernelVariant

HALF = KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=0)
PLANNED = KernelVariant(dtype="bfloat16", head_dim=64, block_size=64, plan_columns=3)


def image(kernel: str, variant: KernelVariant, **facts: Any) -> KernelImage:
    defaults: dict[str, Any] = {
        "capability": "8.7",
        "kind": "cubin",
        "tile_rows": 32,
        "num_warps": 4,
        "shared_bytes": 40960 if kernel == ATTEND else 512,
        "registers": 128,
        "spill_bytes": 0,
        "code": f"{kernel} {variant.dtype}".encode(),
    }
    return KernelImage(kernel=kernel, variant=variant, **{**defaults, **facts})


def kernel_file(*variants: KernelVariant, **facts: Any) -> KernelFile:
    images = [image(kernel, x, **facts) for x in variants for kernel in (ATTEND, COMBINE)]
    return KernelFile(compiler="a test", images=images)
