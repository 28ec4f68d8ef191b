"""The kinds of GPU that kernels are compiled for: the oldest PTX, and with it the oldest driver,
that knows each of them; what a multiprocessor of theirs has.

A driver compiles PTX of its own CUDA version and older. A cubin runs on any driver of the major
version of CUDA whose ptxas wrote it, if that driver knows the GPU.

Sources: PTX ISA, release history, as `cuda.bindings.utils._ptx_utils` of cuda-bindings 13.5 has it;
the oldest PTX of a target is what ptxas 12.9 and 13.4 accept for it (the tests ask ptxas);
docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility"; of multiprocessors, the
CUDA programming guide, "Technical Specifications per Compute Capability", and cuda_occupancy.h of
CUDA 13, which the tests hold `count_programs` against.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "GPU_KINDS",
    "GpuKind",
    "count_programs",
    "cuda_text",
    "kind_of",
    "least_driver",
    "render_table",
]

_REGISTERS = 65536
"""Of a multiprocessor of any of them; a quarter belongs to each of its four schedulers."""
_REGISTER_UNIT = 256
"""They are given to a warp by so many."""
_SHARED_UNIT = 128
_RESERVED_SHARED_BYTES = 1024
"""Of each program, for CUDA itself."""

_CUDA_OF_PTX: Mapping[str, int] = {
    "8.0": 12000,
    "8.1": 12010,
    "8.2": 12020,
    "8.3": 12030,
    "8.4": 12040,
    "8.5": 12050,
    "8.6": 12070,
    "8.7": 12080,
    "8.8": 12090,
    "9.0": 13000,
    "9.1": 13010,
    "9.2": 13020,
    "9.3": 13030,
    "9.4": 13040,
    "9.5": 13050,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuKind:
    """capability: such as "8.7". names: of GPUs that have it. ptx: the oldest version for it, but
    not older than that of CUDA 12.0, which everything else here needs too. is_usual: compiled for
    where nobody names others. warps, programs, shared_kib: what a multiprocessor holds at most."""

    capability: str
    names: str
    ptx: str
    warps: int
    programs: int
    shared_kib: int
    is_usual: bool = True

    @property
    def cuda(self) -> int:
        """The oldest CUDA, and driver, that knows it; 12080 is 12.8, as CUDA counts."""
        return _CUDA_OF_PTX[self.ptx]


def _kind(
    capability: str,
    names: str,
    ptx: str,
    limits: tuple[int, int, int],
    *,
    is_usual: bool = True,
) -> GpuKind:
    """limits: warps, programs, shared_kib."""
    warps, programs, shared_kib = limits
    return GpuKind(
        capability=capability,
        names=names,
        ptx=ptx,
        warps=warps,
        programs=programs,
        shared_kib=shared_kib,
        is_usual=is_usual,
    )


GPU_KINDS = (
    _kind("8.0", "A100", "8.0", (64, 32, 164)),
    _kind("8.6", "RTX 30", "8.0", (48, 16, 100)),
    _kind("8.7", "Orin", "8.0", (48, 16, 164)),
    _kind("8.9", "RTX 40", "8.0", (48, 24, 100)),
    _kind("9.0", "H100", "8.0", (64, 32, 228)),
    _kind("10.0", "B200", "8.6", (64, 32, 228)),
    _kind("10.3", "B300", "8.8", (64, 32, 228), is_usual=False),
    _kind("11.0", "Thor", "9.0", (48, 24, 228)),
    _kind("12.0", "RTX 50", "8.7", (48, 24, 100)),
    _kind("12.1", "GB10", "8.8", (48, 24, 100), is_usual=False),
)


def kind_of(capability: str) -> GpuKind | None:
    """None for one that is not listed."""
    return next((x for x in GPU_KINDS if x.capability == capability), None)


def least_driver(capability: str, *, ptx: str, ptxas: int | None) -> int:
    """The least CUDA version of a driver that takes an image, as `cuDriverGetVersion` counts.

    ptx: the version of its PTX; 0 is returned for one that is not known. ptxas: the CUDA version of
    what made a cubin of it; None if it is left as PTX.
    """
    kind = kind_of(capability)
    if ptxas is None or kind is None:
        return _CUDA_OF_PTX.get(ptx, 0)
    return max(kind.cuda, ptxas // 1000 * 1000)


def count_programs(capability: str, *, registers: int, shared_bytes: int, num_warps: int) -> int:
    """How many programs a multiprocessor runs at once: blocks of num_warps warps with so many
    registers per thread and bytes of dynamic shared memory. 1 on a GPU that is not listed."""
    kind = kind_of(capability)
    if kind is None:
        return 1
    per_warp = max(_round_up(32 * registers, _REGISTER_UNIT), _REGISTER_UNIT)
    shared = _round_up(shared_bytes + _RESERVED_SHARED_BYTES, _SHARED_UNIT)
    return min(
        kind.programs,
        kind.warps // num_warps,
        _REGISTERS // 4 // per_warp * 4 // num_warps,
        1024 * kind.shared_kib // shared,
    )


def _round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def cuda_text(version: int) -> str:
    """12080 -> "12.8"."""
    return f"{version // 1000}.{version % 1000 // 10}"


def render_table() -> str:
    """As it stands in `plugins/README.md`."""
    lines = ["| compute capability | | PTX | CUDA of the driver, at least |", "|---|---|---|---|"]
    lines += [f"| {x.capability} | {x.names} | {x.ptx} | {cuda_text(x.cuda)} |" for x in GPU_KINDS]
    return "\n".join(lines)
