"""Compiles the kernels into a kernel file, for GPUs that need not be there.

    python -m pegasus_plugins.compile_kernels --output block_sparse.kernels

Triton writes PTX, its scratch parameters are cut off (`ptx.py`), and ptxas, which comes with
Triton, makes of it what a GPU runs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pegasus_plugins.gpus import GPU_KINDS, kind_of, least_driver
from pegasus_plugins.kernel_file import (
    ATTEND,
    COMBINE,
    KernelFile,
    KernelFileError,
    KernelImage,
    KernelVariant,
    write_kernel_file,
)
from pegasus_plugins.ptx import PtxError, strip_scratch_parameters
from pegasus_plugins.specification import BLOCK_SIZES, DTYPES, HEAD_DIMS
from pegasus_plugins.tuning import Tuning, tune

__all__ = [
    "CAPABILITIES",
    "CompiledPtx",
    "compile_images",
    "compile_ptx",
    "compiler_environment",
    "compiler_version",
    "main",
    "table_row",
]

CAPABILITIES = tuple(kind.capability for kind in GPU_KINDS if kind.is_usual)
"""What is compiled for unless others are named."""
_FALLBACK = "8.0"
"""Its PTX is kept too, for GPUs that are not listed."""
_SHORT_TYPES = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}
_TABLE = f"{'kernel':<15}{'type':<9}{'Dh':>4}{'b':>5}{'plan':>5}{'GPU':>6}{'tile':>6}{'warps':>6}"
_TABLE += f"{'registers':>10}{'shared':>8}{'spills':>7}{'fit':>4}"
Constants = Mapping[str, int | float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPtx:
    """One kernel as text, and what its launch needs; see `KernelImage`."""

    text: str
    num_warps: int
    shared_bytes: int
    tile_rows: int

    @property
    def ptx_version(self) -> str:
        """Such as "8.0"; a driver older than its CUDA does not take it."""
        found = re.search(r"^\.version\s+(\d+\.\d+)", self.text, re.MULTILINE)
        assert found is not None
        return found[1]


def compile_images(variant: KernelVariant, capability: str) -> Iterator[KernelImage]:
    """Both kernels of a variant for one GPU."""
    for kernel in (ATTEND, COMBINE):
        compiled = compile_ptx(kernel, variant, capability)
        ptxas = _oldest_ptxas(capability)
        code, registers, spill_bytes = _assemble(compiled.text, ptxas.path)
        images: dict[Literal["cubin", "ptx"], bytes] = {"cubin": code}
        if capability == _FALLBACK:
            images["ptx"] = compiled.text.encode() + b"\0"
        for kind, image in images.items():
            cuda = _cuda_version(ptxas.version) if kind == "cubin" else None
            yield KernelImage(
                kernel=kernel,
                variant=variant,
                capability=capability,
                kind=kind,
                least_driver=least_driver(capability, ptx=compiled.ptx_version, ptxas=cuda),
                tile_rows=compiled.tile_rows,
                num_warps=compiled.num_warps,
                shared_bytes=compiled.shared_bytes,
                registers=registers,
                spill_bytes=spill_bytes,
                code=image,
            )


def compile_ptx(
    kernel: str,
    variant: KernelVariant,
    capability: str,
    *,
    constants: Constants | None = None,
    tuning: Tuning | None = None,
) -> CompiledPtx:
    """One kernel; `constants` are arguments that it is compiled for, and no longer has.

    The other arguments keep their order. Raises: ModuleNotFoundError without Triton; PtxError.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if triton.knobs.runtime.interpret:
        raise PtxError("TRITON_INTERPRET is set, and the interpreter compiles nothing: unset it")
    triton.knobs.compilation.disable_line_info = True
    cut = tuning or tune(variant)
    function = _functions()[kernel]
    constexprs = {**_constants(variant, cut), **(constants or {})}
    types = {**_argument_types(variant), **dict.fromkeys(constexprs, "constexpr")}
    names = list(function.arg_names)
    source = ASTSource(
        function,
        {name: types[name] for name in names},
        constexprs={(names.index(k),): v for k, v in constexprs.items() if k in names},
        attrs={
            (index,): [["tt.divisibility", 16]]
            for index, name in enumerate(names)
            if types[name].startswith("*")
        },
    )
    options: dict[str, int] = {
        "num_warps": cut.num_warps,
        "num_stages": cut.num_stages,
        "enable_fp_fusion": True,
    }
    if kind := kind_of(capability):
        # Left to itself, Triton writes the newest that its ptxas takes, which older drivers do not.
        options["ptx_version"] = int(kind.ptx.replace(".", ""))
    target = GPUTarget("cuda", int(capability.replace(".", "")), 32)
    compiled = triton.compile(source, target=target, options=options)
    return CompiledPtx(
        text=strip_scratch_parameters(
            compiled.asm["ptx"], kernel, num_arguments=len(set(names) - set(constexprs))
        ),
        num_warps=compiled.metadata.num_warps,
        shared_bytes=compiled.metadata.shared,
        tile_rows=cut.tile_rows,
    )


def _functions() -> dict[str, Any]:
    from pegasus_plugins.kernel import attend_blocks, combine_splits

    return {ATTEND: attend_blocks, COMBINE: combine_splits}


def _constants(variant: KernelVariant, cut: Tuning) -> dict[str, Any]:
    import triton.language as tl

    constants = {
        "HEAD_DIM": variant.head_dim,
        "BLOCK": variant.block_size,
        "TILE_M": cut.tile_rows,
        "TILE_N": cut.tile_keys,
        "PLAN_COLUMNS": variant.plan_columns,
        "OPERAND": getattr(tl, variant.dtype),
    }
    return constants if variant.plan_columns else {**constants, "plan": None}


def _argument_types(variant: KernelVariant) -> dict[str, str]:
    integers = ("length", "num_heads", "longest_full", "plan_rows", "num_splits")
    tensor = f"*{_SHORT_TYPES[variant.dtype]}"
    return {
        **dict.fromkeys(("query", "key", "value", "output"), tensor),
        **dict.fromkeys(("key_mask", "plan"), "*i32"),
        **dict.fromkeys(integers, "i32"),
        **dict.fromkeys(("scale", "first_bias"), "fp32"),
        "partial": "*fp32",
    }


def _oldest_ptxas(capability: str) -> Any:
    """Of the assemblers that Triton brings, the oldest that knows a GPU: with `path` and `version`.

    What CUDA 13's writes, no driver of CUDA 12 is promised to take; Triton uses it from 9.0 on.
    """
    import triton

    found = (getattr(triton.knobs.nvidia, name, None) for name in ("ptxas", "ptxas_blackwell"))
    tools = [tool for tool in found if tool is not None]
    tools.sort(key=lambda tool: _cuda_version(tool.version))
    kind = kind_of(capability)
    known = [x for x in tools if kind is not None and _cuda_version(x.version) >= kind.cuda]
    return (known or tools[-1:])[0]


def _cuda_version(text: str) -> int:
    """ "12.9" -> 12090, as CUDA counts."""
    major, minor = text.split(".")
    return 1000 * int(major) + 10 * int(minor)


def _assemble(ptx: str, ptxas: str) -> tuple[bytes, int, int]:
    """PTX to a cubin, its registers per thread, and bytes that spill."""
    architecture = re.search(r"^\.target\s+(sm_\w+)", ptx, re.MULTILINE)
    assert architecture is not None
    with tempfile.TemporaryDirectory(prefix="pegasus-kernels-") as folder:
        source, output = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        command = [ptxas, "-v", f"-arch={architecture[1]}", str(source), "-o", str(output)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        code = output.read_bytes()
    registers = re.search(r"Used (\d+) registers", done.stderr)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", done.stderr)
    assert registers is not None
    return code, int(registers[1]), sum(map(int, spills))


def compiler_version() -> str:
    """What compiles here, for `KernelFile.compiler`."""
    import triton

    return f"triton {triton.__version__}"


def compiler_environment() -> dict[str, str]:
    """That of a process which compiles: Triton's interpreter compiles nothing."""
    return {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}


def table_row(image: KernelImage) -> str:
    """What an image takes of a multiprocessor, in one line."""
    variant = image.variant
    return (
        f"{image.kernel:<15}{variant.dtype:<9}{variant.head_dim:>4}{variant.block_size:>5}"
        f"{variant.plan_columns:>5}{image.capability:>6}{image.tile_rows:>6}{image.num_warps:>6}"
        f"{image.registers:>10}{image.shared_bytes:>8}{image.spill_bytes:>7}"
        f"{image.programs_per_sm:>4}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.output is not None and arguments.output.exists():
        return _fail(f"{arguments.output} exists: remove it, or choose another name")
    if arguments.output is not None and not arguments.output.parent.is_dir():
        return _fail(f"{arguments.output.parent} is no folder: make it, or choose another")
    images = []
    try:
        variants = _chosen_variants(arguments)
        if not arguments.quiet:
            print(_TABLE)
        for variant in variants:
            for capability in arguments.capability:
                for image in compile_images(variant, capability):
                    images.append(image)
                    if image.kind == "cubin" and not arguments.quiet:
                        print(table_row(image), flush=True)
        if arguments.output is not None:
            write_kernel_file(
                arguments.output, KernelFile(compiler=compiler_version(), images=images)
            )
    except ModuleNotFoundError as err:
        return _fail(f"{err.name} is not installed: pip install 'pegasus-edge[plugin]' (on Linux)")
    except (KernelFileError, PtxError) as err:
        return _fail(str(err))
    except OSError as err:
        return _fail(f"{arguments.output} cannot be written: {err.strerror or err}")
    return 0


def _chosen_variants(arguments: argparse.Namespace) -> list[KernelVariant]:
    return [
        KernelVariant(
            dtype=dtype, head_dim=head_dim, block_size=block_size, plan_columns=plan_columns
        )
        for dtype in arguments.dtype
        for head_dim in arguments.head_dim
        for block_size in arguments.block_size
        for plan_columns in arguments.plan_columns
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pegasus_plugins.compile_kernels",
        allow_abbrev=False,
        description="Compile the block-sparse attention kernels for GPUs that need not be here, "
        "and print what they take of one: registers per thread, bytes of shared memory per block "
        "of threads, bytes of registers that spill into memory, and how many of these blocks fit "
        "on a multiprocessor at once.",
    )
    add = parser.add_argument
    add("--output", type=Path, metavar="FILE", help="kernel file to write (default: none)")
    add("--dtype", nargs="+", default=["float16"], choices=DTYPES, help="default: float16")
    add("--head-dim", nargs="+", type=int, default=[64], choices=HEAD_DIMS, help="default: 64")
    add("--block-size", nargs="+", type=int, default=[64], choices=BLOCK_SIZES, help="default: 64")
    add(
        "--plan-columns",
        nargs="+",
        type=int,
        default=[0],
        metavar="R",
        help="random blocks of a plan (pattern seeded); 0: no plan (default)",
    )
    add(
        "--capability",
        nargs="+",
        default=list(CAPABILITIES),
        choices=[kind.capability for kind in GPU_KINDS],
        metavar="X.Y",
        help=f"compute capabilities (default: {' '.join(CAPABILITIES)})",
    )
    add("--quiet", action="store_true", help="print errors only")
    return parser


def _fail(message: str) -> int:
    print(f"compile_kernels: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
