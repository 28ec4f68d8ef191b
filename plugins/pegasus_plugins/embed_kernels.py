"""Kernel images as C++ source, for a library that carries them: what CMake runs in `csrc`.

    python -m pegasus_plugins.embed_kernels FILE FOLDER

writes `kernel_code.bin`, all images one after the other, and `kernel_table.cpp`, which includes
them and defines `pegasus::embedded_kernels()` of `csrc/kernel_images.h`. Standard library only.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pegasus_plugins.kernel_file import (
    KernelFile,
    KernelFileError,
    KernelImage,
    read_kernel_file,
)

__all__ = ["CODE_NAME", "TABLE_NAME", "embed_kernels", "main"]

CODE_NAME, TABLE_NAME = "kernel_code.bin", "kernel_table.cpp"
_ALIGNMENT = 64
"""Of an image in bytes: a cubin is an ELF file, which a driver may read in place."""

_TABLE = """\
// Written by pegasus_plugins.embed_kernels: {count} images, compiled by
// {compiler}
#include "kernel_images.h"

// Bytes as a C array would take compilers minutes.
__asm__(
    ".section .rodata\\n"
    ".balign {alignment}\\n"
    ".globl pegasus_kernel_code\\n"
    ".hidden pegasus_kernel_code\\n"
    ".type pegasus_kernel_code, %object\\n"
    "pegasus_kernel_code:\\n"
    ".incbin {path}\\n"
    ".size pegasus_kernel_code, . - pegasus_kernel_code\\n"
    ".text\\n");

extern "C" __attribute__((visibility("hidden"))) const unsigned char pegasus_kernel_code[];

namespace pegasus {{
namespace {{

// kernel, {{dtype, head dim, block size, plan columns}}, capability, PTX, tile rows, warps, shared,
// least driver, programs per multiprocessor
const KernelImage images[] = {{
{rows}
}};

}}  // namespace

KernelTable embedded_kernels() noexcept {{ return {{images, {count}}}; }}

}}  // namespace pegasus
"""


def embed_kernels(kernels: KernelFile, folder: Path) -> None:
    """Writes CODE_NAME and TABLE_NAME into a folder, which is made; what is there is replaced.

    Raises: KernelFileError for a file without images; OSError.
    """
    if not kernels.images:
        raise KernelFileError("the kernel file has no images, expected at least one")
    folder.mkdir(parents=True, exist_ok=True)
    code = bytearray()
    rows = []
    for image in kernels.images:
        rows.append(f"    {_row(image, offset=len(code))},")
        code += image.code + b"\0"  # PTX is a string
        code += bytes(-len(code) % _ALIGNMENT)
    code_path = folder.resolve() / CODE_NAME
    code_path.write_bytes(code)
    table = _TABLE.format(
        count=len(rows),
        compiler=" ".join(kernels.compiler.split()).rstrip("\\"),  # stays in its comment
        alignment=_ALIGNMENT,
        path=_quoted(_quoted(str(code_path)))[1:-1],  # the assembler's, within that of C++
        rows="\n".join(rows),
    )
    (folder / TABLE_NAME).write_text(table, encoding="utf-8")


def _row(image: KernelImage, *, offset: int) -> str:
    variant = image.variant
    major, minor = image.capability.split(".")
    is_ptx = "true" if image.kind == "ptx" else "false"
    return (
        f'{{"{image.kernel}", '
        f'{{"{variant.dtype}", {variant.head_dim}, {variant.block_size}, {variant.plan_columns}}}, '
        f"{{{int(major)}, {int(minor)}}}, {is_ptx}, "
        f"{image.tile_rows}, {image.num_warps}, {image.shared_bytes}, {image.least_driver}, "
        f"{image.programs_per_sm}, "
        f"pegasus_kernel_code + {offset}}}"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, or 2 with a line on stderr for a file that is of no use."""
    parser = argparse.ArgumentParser(
        prog="python -m pegasus_plugins.embed_kernels",
        allow_abbrev=False,
        description="Writes the images of a kernel file as C++ source, for plugins/csrc.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a kernel file, such as a bundle's")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the source goes")
    options = parser.parse_args(arguments)
    try:
        embed_kernels(read_kernel_file(options.file), options.folder)
    except (KernelFileError, OSError) as err:
        print(f"embed_kernels: error: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
