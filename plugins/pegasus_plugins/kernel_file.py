"""Compiled kernels in a file: what the compiler wrote, and how a launcher finds its image.

    8 bytes    magic "PEGKERN1"
    8 bytes    length of the header, little-endian
    header     JSON: {"compiler": "triton 3.9.0, ...", "images": [{...}, ...]}
    images     back to back: cubins, and PTX for GPUs that none of them is for

Nothing here needs Triton: a file is compiled once, for all GPUs, and travels with a bundle.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pegasus_plugins.gpus import count_programs
from pegasus_plugins.specification import BLOCK_SIZES, DTYPES, HEAD_DIMS

__all__ = [
    "ATTEND",
    "COMBINE",
    "KernelFile",
    "KernelFileError",
    "KernelImage",
    "KernelVariant",
    "read_kernel_file",
    "write_kernel_file",
]

ATTEND, COMBINE = "attend_blocks", "combine_splits"
"""The two kernels; see `kernel.py`."""
_MAGIC = b"PEGKERN1"
_MAX_HEADER_BYTES = 2**24
_LEAST_DRIVER = "least_driver"
"""Not in files of versions up to 0.1.0, which are read all the same."""
_NUM_FIELDS = ("num_warps", "shared_bytes", "registers", "spill_bytes", "tile_rows")


class KernelFileError(ValueError):
    """A file that is no kernel file, or has no image for what is asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelVariant:
    """What a kernel is compiled for.

    dtype: one of DTYPES. head_dim: Dh. block_size: b. plan_columns: r of the plan; 0 without one.
    """

    dtype: str
    head_dim: int
    block_size: int
    plan_columns: int

    def __post_init__(self) -> None:
        """Raises: KernelFileError."""
        if self.dtype not in DTYPES or self.head_dim not in HEAD_DIMS:
            raise KernelFileError(f"no kernel computes {self.dtype} with head dim {self.head_dim}")
        if self.block_size not in BLOCK_SIZES or self.plan_columns < 0:
            raise KernelFileError(
                f"no kernel has blocks of {self.block_size} with {self.plan_columns} plan columns"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelImage:
    """One compiled kernel.

    kernel: ATTEND or COMBINE, the name of its entry. capability: of the GPU, such as "8.7".
    kind: "cubin" for that GPU, or "ptx", which a driver compiles for later ones too. tile_rows:
    rows of queries that a program computes. shared_bytes: dynamic shared memory of a block of
    threads, of which there are 32 * num_warps. registers, spill_bytes: per thread. least_driver:
    the CUDA version that a driver has at least, 12080 for 12.8; 0 if the file does not say.
    """

    kernel: str
    variant: KernelVariant
    capability: str
    kind: Literal["cubin", "ptx"]
    tile_rows: int
    num_warps: int
    shared_bytes: int
    registers: int
    spill_bytes: int
    least_driver: int = 0
    code: bytes = dataclasses.field(repr=False)

    @property
    def programs_per_sm(self) -> int:
        """How many a multiprocessor of its GPU runs at once; about, on others, and of PTX."""
        return max(
            1,
            count_programs(
                self.capability,
                registers=self.registers,
                shared_bytes=self.shared_bytes,
                num_warps=self.num_warps,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelFile:
    """All images of a file; compiler: what made them."""

    compiler: str
    images: Sequence[KernelImage]

    def find(self, kernel: str, variant: KernelVariant, capability: str) -> KernelImage:
        """The image that a GPU runs: its own, else that of an older one, else PTX.

        A cubin also runs on later GPUs of its major version, unless it is for a Jetson (8.7) or
        for one architecture alone (from 9.0 on). Raises: KernelFileError if there is none.
        """
        images = self._of(kernel, variant)
        wanted = _version(capability)

        def rank(image: KernelImage) -> tuple[int, tuple[int, int]] | None:
            version = _version(image.capability)
            if image.kind == "ptx":
                return (0, version) if version <= wanted else None
            if version == wanted:
                return 2, version
            is_forward = version[0] == wanted[0] == 8 and version < wanted and version != (8, 7)
            return (1, version) if is_forward and wanted != (8, 7) else None

        ranked = [(found, image) for image in images if (found := rank(image)) is not None]
        if not ranked:
            raise self._missing(kernel, variant, f"compute capability {capability}")
        return max(ranked, key=lambda pair: pair[0])[1]

    def require(self, kernel: str, variant: KernelVariant) -> None:
        """Raises: KernelFileError if there is no image for any GPU at all."""
        if not self._of(kernel, variant):
            raise self._missing(kernel, variant, "any compute capability")

    def _of(self, kernel: str, variant: KernelVariant) -> list[KernelImage]:
        return [x for x in self.images if x.kernel == kernel and x.variant == variant]

    def _missing(self, kernel: str, variant: KernelVariant, gpu: str) -> KernelFileError:
        have = ", ".join(sorted({x.capability for x in self._of(kernel, variant)})) or "no GPU"
        return KernelFileError(
            f"no kernel for {gpu}, {variant.dtype}, head dim {variant.head_dim}, blocks of "
            f"{variant.block_size} and {variant.plan_columns} plan columns (there is one for "
            f"{have}): compile it with python -m pegasus_plugins.compile_kernels"
        )


def write_kernel_file(path: Path, kernels: KernelFile) -> None:
    """Writes a new file. Raises: OSError, also if it exists."""
    entries = []
    for image in kernels.images:
        entry = {k: getattr(image, k) for k in ("kernel", "capability", "kind", *_NUM_FIELDS)}
        entry[_LEAST_DRIVER] = image.least_driver
        entries.append({**entry, **dataclasses.asdict(image.variant), "bytes": len(image.code)})
    header = json.dumps({"compiler": kernels.compiler, "images": entries}).encode()
    with path.open("xb") as file:
        file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        for image in kernels.images:
            file.write(image.code)


def read_kernel_file(path: Path) -> KernelFile:
    """Raises: KernelFileError for anything but a whole kernel file; OSError."""
    with path.open("rb") as file:
        if file.read(8) != _MAGIC:
            raise KernelFileError(f"{path}: not a kernel file")
        header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > _MAX_HEADER_BYTES:
            raise KernelFileError(f"{path}: its header is damaged")
        try:
            header = json.loads(file.read(header_bytes))
            left = path.stat().st_size - file.tell()
            images = []
            for entry in header["images"]:
                code = file.read(min(_number(entry, "bytes"), left))
                left -= len(code)
                images.append(_image(entry, code))
            compiler = str(header["compiler"])
        except (KeyError, TypeError, ValueError) as err:
            raise KernelFileError(f"{path}: its header is damaged: {err}") from err
        if left:
            raise KernelFileError(f"{path}: has bytes behind its images")
    return KernelFile(compiler=compiler, images=images)


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry[name]
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {value!r}")
    return value


def _image(entry: dict[str, Any], code: bytes) -> KernelImage:
    if len(code) != entry["bytes"]:
        raise ValueError(f"ends after {len(code)} of {entry['bytes']} bytes of an image")
    kernel, kind, capability = entry["kernel"], entry["kind"], entry["capability"]
    if kernel not in (ATTEND, COMBINE) or kind not in ("cubin", "ptx"):
        raise ValueError(f"has {kind!r} of {kernel!r}")
    _version(capability)
    variant = KernelVariant(
        dtype=entry["dtype"],
        head_dim=_number(entry, "head_dim"),
        block_size=_number(entry, "block_size"),
        plan_columns=_number(entry, "plan_columns"),
    )
    added = [_LEAST_DRIVER] if _LEAST_DRIVER in entry else []
    numbers = {name: _number(entry, name) for name in (*_NUM_FIELDS, *added)}
    return KernelImage(
        kernel=kernel, variant=variant, capability=capability, kind=kind, code=code, **numbers
    )


def _version(capability: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d{1,2}\.\d", capability):
        raise ValueError(f"{capability!r} is no compute capability")
    major, minor = capability.split(".")
    return int(major), int(minor)
