"""Writes the PTX of a small kernel, for tests of what Triton writes: python small_kernel.py 80.

A process of its own: in the tests', Triton interprets.
"""

import sys

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def scale_rows(x, y, length, scale, TILE: tl.constexpr):  # noqa: N803
    places = tl.program_id(0) * TILE + tl.arange(0, TILE)
    kept = places < length
    tl.store(y + places, tl.load(x + places, mask=kept) * scale, mask=kept)


if __name__ == "__main__":
    types = {"x": "*fp32", "y": "*fp32", "length": "i32", "scale": "fp32", "TILE": "constexpr"}
    source = ASTSource(scale_rows, types, constexprs={(4,): 128})
    print(triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32)).asm["ptx"])
