"""Compiles the library of plugins/csrc/cpu, for this machine or for another.

    python plugins/kernels/build_library.py --output libpegasus_edge_kernels.so --compiler g++

Without --compiler it is the clang of PyPI's package ziglang, which has the headers and C libraries
of every target. The kernels are compiled once for each set of instructions, everything else for the
oldest processor of the family.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["build_library", "main"]

SOURCES = Path(__file__).resolve().parents[1] / "csrc" / "cpu"
_FLAGS = ("-std=c++20", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
# GCC 12 takes what intrinsics leave undefined on purpose for a mistake.
_GCC = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", *_AVX2)
# Compilers join products and sums differently, and results are to be the same to the bit.
_EXACT = ("-ffp-contract=off",)
_SETS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "x86_64": {"avx2": _AVX2, "avx512": _AVX512, "avx512bf16": (*_AVX512, "-mavx512bf16")},
    "aarch64": {"neon": ("-march=armv8.2-a+dotprod",)},
}
# Of a set that has the rest in common with another: kernels/functions.h.
_OWN = {"avx512bf16": ("block_sparse_attention", "keep_source", "source_attention", "table")}
_ZIG_SPELLS = {"-march=armv8.2-a+dotprod": "-mcpu=generic+v8_2a+dotprod"}
_EXPORTS = "{ global: RegisterCustomOps; pegasus_edge_kernels_*; local: *; };\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """One source, compiled once."""

    source: Path
    name: str
    flags: Sequence[str]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--output", type=Path, required=True, help="the library")
    add("--target", help="as zig calls it, such as aarch64-linux-gnu.2.17; default: this machine")
    add("--compiler", help="a command, such as 'g++ -g'; default: zig's clang")
    add(
        "--program",
        type=Path,
        nargs="+",
        help="sources of a program to build with all this instead",
    )
    arguments = parser.parse_args(argv)
    compiler = shlex.split(arguments.compiler or "")
    try:
        build_library(
            arguments.output,
            target=arguments.target,
            compiler=compiler,
            more=arguments.program or [],
            is_program=bool(arguments.program),
        )
    except subprocess.CalledProcessError as err:  # the compiler has said why
        print(f"failed: {shlex.join(err.cmd)}", file=sys.stderr)
        return 1
    return 0


def build_library(
    output: Path,
    *,
    target: str | None = None,
    compiler: Sequence[str] = (),
    sources: Path = SOURCES,
    more: Sequence[Path] = (),
    is_program: bool = False,
) -> None:
    """target: as zig calls it; None for this machine. compiler: a command, none for zig's clang.
    more: sources besides these, as tests have them; of a program, what has its main.

    Raises: ValueError for a processor that there are no kernels for; CalledProcessError if it does
    not compile, after what the compiler said.
    """
    machine = (target or platform.machine().lower()).split("-")[0]
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if machine not in _SETS:
        raise ValueError(f"no kernels for {machine}, expected one of {', '.join(_SETS)}")
    is_zig = not compiler
    command = list(compiler) or [sys.executable, "-m", "ziglang", "c++"]
    command += ["-target", target] if target else []
    with tempfile.TemporaryDirectory() as folder:

        def compile_unit(unit: _Unit) -> str:
            made = os.path.join(folder, unit.name)
            # A path of this machine in the library would be another on the next.
            own = [_ZIG_SPELLS.get(flag, flag) for flag in unit.flags] if is_zig else unit.flags
            flags = [
                *_FLAGS,
                *(() if is_zig else _GCC),
                *_EXACT,
                *own,
                f"-ffile-prefix-map={sources}=.",
            ]
            subprocess.run([*command, *flags, "-c", str(unit.source), "-o", made], check=True)
            return made

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_unit, _units(sources, more, _SETS[machine])))
        shared = ["-shared", "-s", *_link_flags(target, Path(folder), is_zig=is_zig)]
        link = ["-pthread"] if is_program else shared
        if "-macos" in (target or ""):  # else it is the path that it was written to
            link.append(f"-Wl,-install_name,@rpath/{output.name}")
        output.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, *link, *objects, "-o", str(output)], check=True)
    if "-windows" in (target or ""):
        _forget_time(output)


def _units(
    sources: Path, more: Sequence[Path], sets: Mapping[str, Sequence[str]]
) -> Iterator[_Unit]:
    for source in [*sorted([*sources.glob("*.cpp"), *sources.glob("operators/*.cpp")]), *more]:
        yield _Unit(source=source, name=f"{source.parent.name}.{source.stem}.o", flags=())
    for name, flags in sets.items():
        every = sorted((sources / "kernels").glob("*.cpp"))
        for source in (each for each in every if each.stem in _OWN.get(name, (each.stem,))):
            defined = (f"-DPEGASUS_SET={name}", *flags)
            yield _Unit(source=source, name=f"{source.stem}.{name}.o", flags=defined)


def _link_flags(target: str | None, folder: Path, *, is_zig: bool) -> list[str]:
    """Of the exported names, and of the C++ library, which is linked into ours."""
    system = target.split("-")[1] if target else {"darwin": "macos"}.get(sys.platform, sys.platform)
    is_linked_anyway = is_zig or system == "macos"
    flags = [] if is_linked_anyway else ["-static-libstdc++", "-static-libgcc"]
    if system.startswith("linux"):
        exports = folder / "exports.map"
        exports.write_text(_EXPORTS)
        flags += [f"-Wl,--version-script={exports}", "-Wl,-z,defs"]  # nothing is left undefined
    return flags


def _forget_time(library: Path) -> None:
    """Zeros the time of linking, which is the only thing that differs from build to build."""
    content = bytearray(library.read_bytes())
    (header,) = struct.unpack_from("<I", content, 0x3C)
    content[header + 8 : header + 12] = bytes(4)
    library.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
