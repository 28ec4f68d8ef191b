"""The kinds of GPU that kernels are compiled for: the oldest PTX, and with it the oldest driver,
that knows each of them.

A driver compiles PTX of its own CUDA version and older. A cubin runs on any driver of the major
version of CUDA whose ptxas wrote it, if that driver knows the GPU.

Sources: PTX ISA, release history, as `cuda.bindings.utils._ptx_utils` of cuda-bindings 13.5 has it;
the oldest PTX of a target is what ptxas 12.9 and 13.4 accept for it (the tests ask ptxas);
docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility".
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GPU_KINDS", "GpuKind", "cuda_text", "kind_of", "least_driver", "render_table"]

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
    where nobody names others."""

    capability: str
    names: str
    ptx: str
    is_usual: bool = True

    @property
    def cuda(self) -> int:
        """The oldest CUDA, and driver, that knows it; 12080 is 12.8, as CUDA counts."""
        return _CUDA_OF_PTX[self.ptx]


GPU_KINDS = (
    GpuKind(capability="8.0", names="A100", ptx="8.0"),
    GpuKind(capability="8.6", names="RTX 30", ptx="8.0"),
    GpuKind(capability="8.7", names="Orin", ptx="8.0"),
    GpuKind(capability="8.9", names="RTX 40", ptx="8.0"),
    GpuKind(capability="9.0", names="H100", ptx="8.0"),
    GpuKind(capability="10.0", names="B200", ptx="8.6"),
    GpuKind(capability="10.3", names="B300", ptx="8.8", is_usual=False),
    GpuKind(capability="11.0", names="Thor", ptx="9.0"),
    GpuKind(capability="12.0", names="RTX 50", ptx="8.7"),
    GpuKind(capability="12.1", names="GB10", ptx="8.8", is_usual=False),
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


def cuda_text(version: int) -> str:
    """12080 -> "12.8"."""
    return f"{version // 1000}.{version % 1000 // 10}"


def render_table() -> str:
    """As it stands in `plugins/README.md`."""
    lines = ["| compute capability | | PTX | CUDA of the driver, at least |", "|---|---|---|---|"]
    lines += [f"| {x.capability} | {x.names} | {x.ptx} | {cuda_text(x.cuda)} |" for x in GPU_KINDS]
    return "\n".join(lines)
