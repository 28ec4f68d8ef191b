"""Compiling the kernels for GPUs that are not here: by the command, in processes of its own."""

import importlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pegasus_plugins import compile_kernels
from pegasus_plugins.compile_kernels import CAPABILITIES, compiler_environment
from pegasus_plugins.gpus import GPU_KINDS
from pegasus_plugins.kernel_file import (
    ATTEND,
    COMBINE,
    KernelFile,
    KernelImage,
    KernelVariant,
    read_kernel_file,
)
from pegasus_plugins.ptx import PtxError
from pegasus_plugins.tuning import Tuning, tune

PLAN_CAPABILITIES = ("8.0", "8.7", "9.0", "12.0")
LEAST_SHARED_BYTES = 99 * 1024
"""What a block of threads may have on a GPU of 8.6, 8.9 or 12.0, which have the least of it."""
POINTER, INTEGER, FLOAT = "u64", "u32", "f32"
LAST_OF_ATTEND = [*[INTEGER] * 5, FLOAT, FLOAT, POINTER, POINTER]
PARAMETERS = {
    (ATTEND, 0): [*[POINTER] * 4, *LAST_OF_ATTEND],
    (ATTEND, 3): [*[POINTER] * 5, *LAST_OF_ATTEND],
    (COMBINE, 0): [POINTER, POINTER, *[INTEGER] * 3, POINTER],
}
"""(kernel, columns of the plan) -> what plugins/README.md says that it is launched with."""


def run_command(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "pegasus_plugins.compile_kernels", *options)


def run_python(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=compiler_environment())


@pytest.fixture(autouse=True)
def _needs_triton() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[int, KernelFile]:
    """Columns of the plan -> the default variant's kernels; without a plan for all GPUs."""
    pytest.importorskip("triton", reason="Triton is not installed")

    def compile_once(columns: int, *capabilities: str) -> KernelFile:
        path = tmp_path_factory.mktemp("kernels") / "attention.kernels"
        plan = ("--plan-columns", str(columns))
        result = run_command("--output", path, *plan, "--capability", *capabilities)
        assert result.returncode == 0, result.stderr
        kernels = read_kernel_file(path)
        cubins = [image for image in kernels.images if image.kind == "cubin"]
        header, *rows = result.stdout.splitlines()
        assert header.split()[-4:] == ["registers", "shared", "spills", "fit"]
        assert rows == [compile_kernels.table_row(image) for image in cubins]
        return kernels

    return {0: compile_once(0, *CAPABILITIES), 3: compile_once(3, *PLAN_CAPABILITIES)}


def cuobjdump(folder: Path, image: KernelImage, option: str) -> str:
    path = folder / f"{image.kernel}.cubin"
    path.write_bytes(image.code)
    backend = Path(importlib.import_module("triton").__file__ or "").parent / "backends" / "nvidia"
    command = [str(backend / "bin" / "cuobjdump"), option, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ptx_parameters(image: KernelImage) -> list[str]:
    """Their types, in order."""
    text = image.code.decode().rstrip("\0")
    match = re.search(rf"\.visible \.entry {image.kernel}\s*\(([^)]*)\)", text)
    assert match is not None
    return re.findall(r"\.param \.([a-z0-9]+)", match[1])


@pytest.mark.parametrize(("columns", "capabilities"), [(0, CAPABILITIES), (3, PLAN_CAPABILITIES)])
def test_there_is_a_cubin_of_both_kernels_for_every_gpu(
    compiled: dict[int, KernelFile], columns: int, capabilities: tuple[str, ...], tmp_path: Path
) -> None:
    kernels = compiled[columns]
    variant = KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=columns)
    assert kernels.compiler == f"triton {metadata.version('triton')}"
    for kernel in (ATTEND, COMBINE):
        for capability in capabilities:
            image = kernels.find(kernel, variant, capability)
            assert (image.kind, image.capability) == ("cubin", capability)
            assert image.code.startswith(b"\x7fELF")
            if image.kernel == ATTEND:
                listed = cuobjdump(tmp_path, image, "-lelf")
                assert re.search(rf"\bsm_{capability.replace('.', '')}a?\.cubin", listed), listed


@pytest.mark.parametrize("columns", [0, 3])
def test_kernels_fit_the_gpus(compiled: dict[int, KernelFile], columns: int) -> None:
    cut = tune(KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=columns))
    for image in compiled[columns].images:
        assert image.spill_bytes == 0, image
        assert 0 < image.registers <= 255, image
        assert image.shared_bytes <= LEAST_SHARED_BYTES, image
        assert image.registers * 32 * image.num_warps <= 65536, image
        assert (image.tile_rows, image.num_warps) == (cut.tile_rows, cut.num_warps)
        assert image.programs_per_sm >= 2, image


def test_products_are_tensor_cores_and_keys_are_fetched_ahead(
    compiled: dict[int, KernelFile], tmp_path: Path
) -> None:
    products = {"8.0": "HMMA", "8.7": "HMMA", "9.0": "HGMMA", "10.0": "UTCHMMA", "12.0": "HMMA"}
    for image in compiled[0].images:
        if image.kind == "cubin" and image.kernel == ATTEND and image.capability in products:
            instructions = cuobjdump(tmp_path, image, "-sass")
            assert re.search(rf"\b{products[image.capability]}\b", instructions), image
            assert re.search(r"\bLDGSTS\b", instructions), image  # memory to shared, and go on
            if products[image.capability] != "UTCHMMA":
                additions = len(re.findall(r"\bFADD\b", instructions))
                exponentials = len(re.findall(r"\bMUFU\.EX2\b", instructions))
                # Of weights alone: scores are scaled and lowered by one FFMA each.
                assert 0 < additions < 1.5 * exponentials, image


def test_the_table_says_what_the_assembler_says(
    compiled: dict[int, KernelFile], tmp_path: Path
) -> None:
    for image in compiled[0].images:
        if image.kind == "cubin" and image.capability in ("8.0", "12.0"):
            usage = cuobjdump(tmp_path, image, "--dump-resource-usage")
            assert f"Function {image.kernel}:" in usage
            assert f"REG:{image.registers} " in usage


@pytest.mark.parametrize("columns", [0, 3])
def test_the_oldest_gpus_ptx_is_kept_with_the_parameters_that_are_documented(
    compiled: dict[int, KernelFile], columns: int
) -> None:
    found = [image for image in compiled[columns].images if image.kind == "ptx"]
    assert [(image.kernel, image.capability) for image in found] == [
        (ATTEND, "8.0"),
        (COMBINE, "8.0"),
    ]
    for image in found:
        assert image.code.endswith(b"\0")
        expected = PARAMETERS.get((image.kernel, columns), PARAMETERS[COMBINE, 0])
        assert ptx_parameters(image) == expected
        assert b"_scratch" not in image.code


LEAST_DRIVERS = dict.fromkeys(("8.0", "8.6", "8.7", "8.9", "9.0"), 12000) | {
    "10.0": 12070,
    "11.0": 13000,
    "12.0": 12080,
}


def test_an_image_says_which_driver_it_needs(compiled: dict[int, KernelFile]) -> None:
    for image in (*compiled[0].images, *compiled[3].images):
        assert image.least_driver == LEAST_DRIVERS[image.capability], image
        if image.kind == "ptx":
            assert b"\n.version 8.0\n" in image.code
        elif image.least_driver == 12000:
            assert image.code[8] == 7  # the version of the ELF format that CUDA 12 writes; 13: 8


def test_ptx_is_of_the_oldest_version_that_a_gpu_allows(compiled: dict[int, KernelFile]) -> None:
    """Triton left to itself writes 9.4 from 9.0 on. Its cache has these kernels already."""
    script = (
        "import sys\n"
        "from pegasus_plugins.compile_kernels import compile_ptx\n"
        "from pegasus_plugins.kernel_file import ATTEND, KernelVariant\n"
        "variant = KernelVariant(dtype='float16', head_dim=64, block_size=64, plan_columns=0)\n"
        "for capability in sys.argv[1:]:\n"
        "    print(compile_ptx(ATTEND, variant, capability).ptx_version)\n"
    )
    result = run_python("-c", script, *CAPABILITIES)
    assert result.returncode == 0, result.stderr
    expected = [kind.ptx for kind in GPU_KINDS if kind.capability in CAPABILITIES]
    assert result.stdout.split() == expected


def test_constants_and_tiles_may_be_chosen_by_the_caller() -> None:
    """As a TensorRT plugin does that compiles for its sizes, and whoever tunes."""
    script = (
        "from pegasus_plugins.compile_kernels import compile_ptx\n"
        "from pegasus_plugins.kernel_file import ATTEND, KernelVariant\n"
        "from pegasus_plugins.tuning import Tuning\n"
        "variant = KernelVariant(dtype='float16', head_dim=32, block_size=64, plan_columns=0)\n"
        "cut = Tuning(tile_rows=32, tile_keys=64, num_warps=2, num_stages=2)\n"
        "constants = {'num_heads': 16, 'scale': 0.125}\n"
        "ptx = compile_ptx(ATTEND, variant, '8.0', constants=constants, tuning=cut)\n"
        "print(ptx.tile_rows, ptx.num_warps, ptx.text.count('.param .'))\n"
    )
    result = run_python("-c", script)
    assert result.returncode == 0, result.stderr
    tile_rows, num_warps, mentioned = map(int, result.stdout.split())
    assert (tile_rows, num_warps) == (32, 2)
    assert mentioned == len(PARAMETERS[ATTEND, 0]) - 2


def test_the_interpreter_compiles_nothing() -> None:
    variant = KernelVariant(dtype="float16", head_dim=32, block_size=16, plan_columns=0)
    cut = Tuning(tile_rows=16, tile_keys=16, num_warps=1, num_stages=2)
    with pytest.raises(PtxError, match=r"TRITON_INTERPRET is set, .*: unset it"):
        compile_kernels.compile_ptx(ATTEND, variant, "8.0", tuning=cut)
    assert "TRITON_INTERPRET" not in compiler_environment()


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    for options, message in (
        (["--output", str(taken)], f"error: {taken} exists: remove it, or choose another name"),
        (["--output", str(tmp_path / "no" / "file")], "no is no folder: make it, or choose"),
        (["--plan-columns", "-1"], "error: no kernel has blocks of 64 with -1 plan columns"),
        (["--capability", "8.0"], "error: TRITON_INTERPRET is set"),
    ):
        assert compile_kernels.main([*options, "--quiet"]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""
    for options, message in (
        (["--capability", "7.5"], "argument --capability: invalid choice: '7.5'"),
        (["--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["--head-dim", "80"], "argument --head-dim: invalid choice: 80"),
        (["--block-size", "48"], "argument --block-size: invalid choice: 48"),
    ):
        with pytest.raises(SystemExit):
            compile_kernels.main(options)
        assert message in capsys.readouterr().err


def test_help_says_what_the_command_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        compile_kernels.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: python -m pegasus_plugins.compile_kernels")
    for words in ("for GPUs that need not be here", "default: 8.0 8.6 8.7", "registers per thread"):
        assert words in text
