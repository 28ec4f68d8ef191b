"""The C++ library: its build, driven without TensorRT.

The build needs headers: TensorRT's, in the folder PEGASUS_TENSORRT_INCLUDE or the system's, else a
stand-in for them (`tensorrt_stand_in`), and CUDA's, in PEGASUS_CUDA_INCLUDE or the system's. What
needs a GPU is launched on a driver that only writes down what it is asked for.
"""

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins.kernel_file import ATTEND, COMBINE, KernelFile, write_kernel_file
from pegasus_plugins.launch import plan_launch
from pegasus_plugins.specification import AttentionSpec
from plugins.kernel_images import HALF, image

_SOURCE = Path(__file__).parents[2] / "plugins" / "csrc"
_SYSTEM_INCLUDES = [Path(f"/usr/include/{x}-linux-gnu") for x in ("aarch64", "x86_64")]
_STAND_IN = Path(__file__).parent / "tensorrt_stand_in"
_STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


def _compile(target: Path, *sources: str, options: Sequence[str] = ()) -> Path:
    command = ["g++", *_STRICT, *options, *(str(_SOURCE / x) for x in sources), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


# The fake driver's images are a letter per argument of the kernel: pointer, int32, float32.
_ATTEND_ARGUMENTS, _PLANNED_ARGUMENTS = b"ppppiiiiiffpp", b"pppppiiiiiffpp"
_COMBINE_ARGUMENTS = b"ppiiip"


def _fake_kernels() -> KernelFile:
    images = []
    for columns, arguments in ((0, _ATTEND_ARGUMENTS), (3, _PLANNED_ARGUMENTS)):
        variant = replace(HALF, plan_columns=columns)
        images += [
            image(ATTEND, variant, shared_bytes=70_000, code=arguments),
            image(COMBINE, variant, shared_bytes=0, code=_COMBINE_ARGUMENTS),
        ]
    newer = replace(HALF, dtype="float32")
    images += [image(kernel, newer, least_driver=12080) for kernel in (ATTEND, COMBINE)]
    elsewhere = replace(HALF, dtype="bfloat16")
    images += [image(kernel, elsewhere, capability="9.0") for kernel in (ATTEND, COMBINE)]
    return KernelFile(compiler="none", images=images)


def _configure(folder: Path, *definitions: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("cmake") is None:
        pytest.skip("there is no cmake")
    command = ["cmake", "-S", str(_SOURCE), "-B", str(folder), *definitions]
    return subprocess.run(command, capture_output=True, text=True)


def _unfolded(message: str) -> str:
    return " ".join(message.split())


@needs_compiler
def test_a_build_without_headers_or_kernels_says_what_to_do(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.mkdir()
    build = tmp_path / "build"
    definitions = [f"-DTENSORRT_INCLUDE={headers}", f"-DCUDA_INCLUDE={headers}"]

    without_tensorrt = _configure(build, *definitions)
    assert without_tensorrt.returncode != 0
    assert "install TensorRT's headers" in _unfolded(without_tensorrt.stderr)
    assert "-DTENSORRT_INCLUDE=folder" in _unfolded(without_tensorrt.stderr)

    (headers / "NvInfer.h").touch()
    assert "install CUDA's headers" in _unfolded(_configure(build, *definitions).stderr)

    (headers / "crt").mkdir()
    for name in ("cuda.h", "cuda_runtime_api.h", "crt/host_defines.h"):
        (headers / name).touch()
    without_kernels = _unfolded(_configure(build, *definitions).stderr)
    assert "Pass -DPEGASUS_KERNELS=file" in without_kernels
    assert "python -m pegasus_plugins.compile_kernels --output file" in without_kernels

    missing = _configure(build, *definitions, f"-DPEGASUS_KERNELS={tmp_path / 'none'}")
    assert "There is no kernel file" in _unfolded(missing.stderr)


def _include(variable: str, header: str, system: Sequence[Path]) -> Path:
    folders = [Path(os.environ[variable])] if variable in os.environ else system
    found = next((x for x in folders if (x / header).exists()), None)
    if found is None:
        pytest.skip(f"there is no {header}: set {variable} to the folder that has it")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    library: Path
    harness: Path
    fake_driver: Path  # the folder of its libcuda.so.1

    def run(
        self, mode: str, *options: object, failing: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """On the fake driver. failing: which of its functions."""
        command = [str(x) for x in (self.harness, self.library, mode, *options)]
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.fake_driver),
            "PEGASUS_FAKE_FAILURE": failing,
            **variables,
        }
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def launches(self, *options: object) -> list[dict[str, Any]]:
        done = self.run("enqueue", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(x) for x in done.stderr.splitlines()]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> _Build:
    """The library and its harness, compiled with warnings as errors."""
    tensorrt = _include("PEGASUS_TENSORRT_INCLUDE", "NvInfer.h", [*_SYSTEM_INCLUDES, _STAND_IN])
    cuda = _include("PEGASUS_CUDA_INCLUDE", "cuda.h", [Path("/usr/local/cuda/include")])
    folder = tmp_path_factory.mktemp("a library")  # with a space, as folders may have
    kernels = folder / "fake.kernels"
    write_kernel_file(kernels, _fake_kernels())
    configured = _configure(
        folder,
        f"-DTENSORRT_INCLUDE={tensorrt}",
        f"-DCUDA_INCLUDE={cuda}",
        f"-DPEGASUS_KERNELS={kernels}",
        "-DPEGASUS_WERROR=ON",
    )
    assert configured.returncode == 0, configured.stderr
    built = subprocess.run(["cmake", "--build", folder, "-j2"], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    fake = folder / "fake_driver"
    fake.mkdir()
    _compile(fake / "libcuda.so.1", "harness/fake_driver.cpp", options=["-shared", "-fPIC"])
    return _Build(
        library=folder / "libpegasus_block_sparse.so",
        harness=folder / "drive_plugin",
        fake_driver=fake,
    )


def test_the_plugin_passes_every_check_of_the_harness(build: _Build) -> None:
    done = build.run("check")
    lines = done.stdout.splitlines()
    assert not [x for x in lines if not x.startswith("ok ")]
    assert len(lines) > 80
    assert done.returncode == 0, done.stderr


def test_the_library_exports_two_functions_and_needs_no_cuda(build: _Build) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("there is no readelf")
    listed = subprocess.run(
        ["readelf", "--wide", "--dyn-syms", "--dynamic", build.library],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    symbols = re.findall(r"(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+ (\S+)", listed)
    assert sorted(symbols) == ["getCreators", "setLoggerFinder"]
    needed = re.findall(r"NEEDED.*\[(.*)\]", listed)
    assert not [x for x in needed if re.search("cuda|nvinfer", x)]


def test_the_harness_says_that_there_is_no_gpu(build: _Build) -> None:
    done = build.run("enqueue", failing="cuInit")
    assert done.returncode == 77
    assert "finds no GPU" in done.stderr


def _pointer(number: int) -> int:
    return 4096 * number  # as the fake driver counts


def test_a_run_launches_both_kernels_with_the_arguments_of_the_specification(
    build: _Build,
) -> None:
    lines = build.launches("--batch", 1, "--heads", 2, "--length", 4000)
    spec = AttentionSpec(
        num_heads=2, block_size=64, num_random_blocks=3, longest_full=0, scale=0.125
    )
    launch = plan_launch(
        spec, batch=1, length=4000, head_dim=64, tile_rows=32, num_sms=16, programs_per_sm=2
    )
    assert launch.num_splits > 1
    query, key, value, mask, output, partial = map(_pointer, range(1, 7))
    attend, combine = lines[3], lines[4]
    assert attend == {
        "launched": "attend_blocks",
        "grid": launch.num_programs,
        "threads": 128,
        "shared_bytes": 70_000,
        "arguments": [
            *(query, key, value, mask),
            *(4000, 2, 0, 0, launch.num_splits),
            *(0.125, pytest.approx(math.log(4))),
            *(output, partial),
        ],
    }
    assert combine == {
        "launched": "combine_splits",
        "grid": launch.combine_programs,
        "threads": 128,
        "shared_bytes": 0,
        "arguments": [partial, mask, 4000, 2, launch.num_splits, output],
    }


def test_kernels_are_loaded_once_and_told_of_their_shared_memory(build: _Build) -> None:
    lines = build.launches("--length", 4000, "--batch", 1, "--repeats", 4)
    assert lines[:3] == [
        {"loaded": _ATTEND_ARGUMENTS.decode()},
        {"kernel": "attend_blocks", "may_share": 70_000},
        {"loaded": _COMBINE_ARGUMENTS.decode()},
    ]
    assert all("launched" in x for x in lines[3:])


def test_a_run_with_a_plan_passes_it_on(build: _Build) -> None:
    lines = build.launches("--batch", 1, "--heads", 2, "--length", 4000, "--plan", 1)
    arguments = lines[3]["arguments"]
    assert arguments[:5] == [_pointer(x) for x in range(1, 6)]
    assert arguments[5:9] == [4000, 2, 0, 61]  # of the 63 blocks, all but the ends have a row
    assert arguments[11] == 0  # block 0 counts once


@pytest.mark.parametrize("options", [("--batch", 64), ("--length", 448), ("--longest-full", 640)])
def test_a_run_whose_keys_are_not_split_is_one_kernel(
    build: _Build, options: tuple[object, ...]
) -> None:
    launched = [x for x in build.launches(*options) if "launched" in x]
    assert {x["launched"] for x in launched} == {"attend_blocks"}
    assert launched[0]["arguments"][8] == 1
    assert launched[0]["arguments"][-1] == 0  # no workspace


def test_an_empty_batch_launches_nothing(build: _Build) -> None:
    assert not [x for x in build.launches("--batch", 0) if "launched" in x]


def test_an_engine_from_a_smaller_gpu_stays_within_its_workspace(build: _Build) -> None:
    sizes = ("--batch", 1, "--heads", 1, "--length", 4000)
    usual = build.launches(*sizes)[3]["arguments"][8]
    fewer = build.launches(*sizes, "--workspace-rows", 6 * 32)[3]["arguments"][8]
    assert usual == 8
    assert fewer == 2 * 6 // 4  # programs of six multiprocessors, for four tiles


@pytest.mark.parametrize(
    "function",
    ["cuModuleLoadData", "cuModuleGetFunction", "cuFuncSetAttribute", "cuLaunchKernel"],
)
def test_what_the_driver_refuses_is_an_error_of_the_plugin(build: _Build, function: str) -> None:
    done = build.run("enqueue", failing=function)
    assert done.returncode in (1, 2)
    assert "pegasus::BlockSparseAttention" in done.stderr
    assert "CUDA error 500, as the test asked" in done.stderr


def test_a_gpu_without_a_kernel_is_an_error_that_says_how_to_compile_one(build: _Build) -> None:
    done = build.run("enqueue", "--dtype", "bf16")
    assert done.returncode == 2
    assert (
        "no kernel attend_blocks for compute capability 8.7, bfloat16, head dim 64, blocks of 64 "
        "and 0 plan columns (there is one for 9.0)" in done.stderr
    )
    assert "python -m pegasus_plugins.compile_kernels" in done.stderr
    assert "-DPEGASUS_KERNELS=file" in done.stderr


def test_a_driver_that_is_too_old_for_a_kernel_is_told_which_it_needs(build: _Build) -> None:
    done = build.run("enqueue", "--dtype", "fp32")
    assert done.returncode == 2
    assert (
        "the cubin of attend_blocks for compute capability 8.7 needs a driver of CUDA 12.8, this "
        "one is of CUDA 12.6: update the driver" in done.stderr
    )


def test_an_image_that_the_driver_refuses_says_what_to_do(build: _Build) -> None:
    done = build.run("enqueue", PEGASUS_FAKE_REFUSED_IMAGE="1")
    assert done.returncode == 2
    assert (
        "a driver of CUDA 12.6 does not take the cubin of attend_blocks for compute capability "
        "8.7: update it, or compile the kernels again with python -m "
        "pegasus_plugins.compile_kernels" in done.stderr
    )


def test_inputs_of_another_size_are_refused(build: _Build, tmp_path: Path) -> None:
    path = tmp_path / "inputs"
    for size, message in ((100, "is shorter than"), (4_000_000, "is longer than")):
        path.write_bytes(bytes(size))
        done = build.run("enqueue", "--input", path)
        assert done.returncode == 2
        assert message in done.stderr


def test_the_output_of_a_run_is_written(build: _Build, tmp_path: Path) -> None:
    sizes = ("--batch", 1, "--heads", 2, "--length", 65)
    inputs = tmp_path / "inputs"
    inputs.write_bytes(bytes(3 * 2 * 65 * 64 * 2 + 65 * 4))
    output = tmp_path / "output"
    done = build.run("enqueue", *sizes, "--input", inputs, "--output", output, "--repeats", 5)
    assert done.returncode == 0, done.stderr
    assert output.stat().st_size == 2 * 65 * 64 * 2
    assert json.loads(done.stdout)["repeats"] == 5
