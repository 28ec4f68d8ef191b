"""Which PTX and which driver a kind of GPU takes; Triton's assemblers are asked, too."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins.gpus import (
    GPU_KINDS,
    GpuKind,
    count_programs,
    kind_of,
    least_driver,
    render_table,
)

_README = Path(__file__).parents[2] / "plugins" / "README.md"


def test_the_page_has_the_table_of_the_code() -> None:
    assert render_table() in _README.read_text("utf-8")


@pytest.mark.parametrize(
    ("capability", "ptx", "ptxas", "expected"),
    [
        ("8.7", "8.0", 12090, 12000),
        ("8.7", "8.0", 13040, 13000),  # a cubin of CUDA 13's assembler
        ("12.0", "8.7", 12090, 12080),  # no older driver knows the GPU
        ("11.0", "9.0", 13040, 13000),
        ("8.0", "8.0", None, 12000),
        ("8.0", "9.4", None, 13040),
        ("8.0", "99.0", None, 0),
        ("7.5", "8.0", 12090, 12000),
    ],
)
def test_a_driver_is_as_new_as_the_ptx_or_of_the_assemblers_major_version(
    capability: str, ptx: str, ptxas: int | None, expected: int
) -> None:
    assert least_driver(capability, ptx=ptx, ptxas=ptxas) == expected


def test_a_gpu_that_is_not_listed_is_none() -> None:
    assert kind_of("7.5") is None
    assert count_programs("7.5", registers=64, shared_bytes=0, num_warps=4) == 1


_OCCUPANCY = """
#include <cuda_occupancy.h>
#include <iostream>
int main() {
    cudaOccDeviceProp gpu;
    cudaOccFuncAttributes kernel;
    cudaOccDeviceState state;
    gpu.maxThreadsPerBlock = 1024;
    gpu.regsPerBlock = gpu.regsPerMultiprocessor = 65536;
    gpu.warpSize = 32;
    gpu.numSms = 1;
    gpu.reservedSharedMemPerBlock = 1024;
    size_t shared = 0;
    int warps = 0;
    while (std::cin >> gpu.computeMajor >> gpu.computeMinor >> gpu.maxThreadsPerMultiprocessor >>
           gpu.sharedMemPerMultiprocessor >> kernel.numRegs >> shared >> warps) {
        gpu.sharedMemPerBlock = 48 * 1024;
        gpu.sharedMemPerBlockOptin = gpu.sharedMemPerMultiprocessor - 1024;
        kernel.maxThreadsPerBlock = 1024;
        kernel.maxDynamicSharedSizeBytes = shared;
        kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
        kernel.numBlockBarriers = 1;
        state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
        cudaOccResult found;
        if (cudaOccMaxActiveBlocksPerMultiprocessor(&found, &gpu, &kernel, &state, 32 * warps,
                                                    shared) != CUDA_OCC_SUCCESS) {
            return 1;
        }
        std::cout << found.activeBlocksPerMultiprocessor << " ";
    }
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_programs_are_counted_as_nvidias_header_counts_them(tmp_path: Path) -> None:
    triton: Any = pytest.importorskip("triton", reason="Triton is not installed")
    include = Path(triton.__file__).parent / "backends" / "nvidia" / "include"
    if not (include / "cuda_occupancy.h").is_file():
        pytest.skip("this Triton has no cuda_occupancy.h")
    source, program = tmp_path / "occupancy.cpp", tmp_path / "occupancy"
    source.write_text(_OCCUPANCY)
    subprocess.run(["g++", "-w", f"-I{include}", str(source), "-o", str(program)], check=True)
    questions, expected = [], []
    for kind, registers, shared_bytes, num_warps in itertools.product(
        GPU_KINDS, (32, 54, 62, 97, 128, 152, 193, 255), (0, 512, 24_900, 41_472, 57_856), (1, 4, 8)
    ):
        numbers = (32 * kind.warps, 1024 * kind.shared_kib, registers, shared_bytes, num_warps)
        questions.append(" ".join(map(str, (*kind.capability.split("."), *numbers))))
        expected.append(
            count_programs(
                kind.capability,
                registers=registers,
                shared_bytes=shared_bytes,
                num_warps=num_warps,
            )
        )
    told = subprocess.run([program], input="\n".join(questions), capture_output=True, text=True)
    assert told.returncode == 0
    assert list(map(int, told.stdout.split())) == expected


@pytest.fixture(scope="module")
def newest_ptxas() -> str:
    triton: Any = pytest.importorskip("triton", reason="Triton is not installed")
    tools = [triton.knobs.nvidia.ptxas, triton.knobs.nvidia.ptxas_blackwell]
    return str(max(tools, key=lambda x: [int(part) for part in x.version.split(".")]).path)


def _takes(ptxas: str, target: str, version: str, folder: Path) -> bool:
    source = folder / "empty.ptx"
    kernel = ".address_size 64\n.visible .entry empty() { ret; }\n"
    source.write_text(f".version {version}\n.target {target}\n{kernel}")
    command = [ptxas, f"-arch={target}", str(source), "-o", str(folder / "empty.cubin")]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", GPU_KINDS, ids=lambda kind: kind.capability)
def test_a_target_takes_its_version_and_none_before(
    kind: GpuKind, newest_ptxas: str, tmp_path: Path
) -> None:
    major, number = kind.capability.split(".")[0], kind.capability.replace(".", "")
    target = f"sm_{number}{'a' if int(major) >= 9 else ''}"
    assert _takes(newest_ptxas, target, kind.ptx, tmp_path)
    before = {"8.6": "8.5", "8.7": "8.6", "8.8": "8.7", "9.0": "8.8"}.get(kind.ptx)
    if before is not None:  # 8.0 is CUDA 12.0's, older is not needed
        assert not _takes(newest_ptxas, target, before, tmp_path)
