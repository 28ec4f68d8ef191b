"""Scratch parameters are cut off, and only those: on text, and on what Triton writes."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins.ptx import PtxError, strip_scratch_parameters

PROGRAM = Path(__file__).parent / "small_kernel.py"
KERNEL = """
.visible .entry other(
	.param .u64 other_param_0
)
{
	ret;
}
.visible .entry double(
	.param .u64 .ptr .global .align 1 double_param_0,
	.param .u32 double_param_1,
	.param .u64 .ptr .global .align 1 double_param_2, // double_param_2
	.param .u64 .ptr .global .align 1 double_param_3
)
.reqntid 128
{
	// not double_param_3
	ld.param.b64 	%rd1, [double_param_0];
	ld.param.b32 	%r1, [double_param_1];
	ld.param.b64 	%rd2, [double_param_22];
	ret;
}
"""


def parameters(ptx: str, entry: str) -> list[str]:
    found = re.search(rf"\.entry\s+{entry}\(([^)]*)\)", ptx)
    assert found is not None
    return [x.split()[-1] for x in found[1].split(",") if x.strip()]


def test_parameters_behind_the_arguments_go_and_all_else_stays() -> None:
    stripped = strip_scratch_parameters(KERNEL, "double", num_arguments=2)
    assert parameters(stripped, "double") == ["double_param_0", "double_param_1"]
    assert stripped[stripped.index(".reqntid") :] == KERNEL[KERNEL.index(".reqntid") :]
    assert stripped[: stripped.index("double(")] == KERNEL[: KERNEL.index("double(")]


def test_a_kernel_may_be_left_without_parameters() -> None:
    ptx = (
        ".entry empty(\n\t.param .u64 empty_param_0,\n\t.param .u64 empty_param_1\n)\n{\n\tret;\n}"
    )
    assert strip_scratch_parameters(ptx, "empty", num_arguments=0) == ".entry empty()\n{\n\tret;\n}"


def test_a_kernel_without_scratch_parameters_stays_as_it_is() -> None:
    stripped = strip_scratch_parameters(KERNEL, "other", num_arguments=1)
    assert parameters(stripped, "other") == ["other_param_0"]
    assert stripped[stripped.index("double(") :] == KERNEL[KERNEL.index("double(") :]


@pytest.mark.parametrize(
    ("ptx", "message"),
    [
        (KERNEL.replace("double(", "triple("), r"^the PTX has 0 kernels double, expected one$"),
        (KERNEL + KERNEL, r"^the PTX has 2 kernels double, expected one$"),
        (
            KERNEL.replace(".param .u64 .ptr .global .align 1 double_param_3", ".param .f32 x"),
            r"^double ends in the parameter \.param \.f32 x, expected the pointers to scratch",
        ),
        (
            ".entry double(\n\t.param .u64 x\n)\n{ret;}",
            r"^double has 1 parameters, expected 2$",
        ),
        (".entry double()\n{ret;}", r"^double has 0 parameters, expected 2$"),
        (
            KERNEL.replace("[double_param_22]", "[double_param_2+8]"),
            r"^double reads its parameter double_param_2, expected nobody to use scratch memory: ",
        ),
        (
            KERNEL.replace(
                "ld.param.b64 	%rd2, [double_param_22]", "mov.b64 %rd2, double_param_3"
            ),
            r"^double reads its parameter double_param_3, ",
        ),
    ],
)
def test_what_cannot_be_cut_off_is_refused(ptx: str, message: str) -> None:
    with pytest.raises(PtxError, match=message):
        strip_scratch_parameters(ptx, "double", num_arguments=2)


@pytest.mark.parametrize("capability", [80, 87, 120])
def test_what_triton_writes_is_still_assembled(capability: int, tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    nvidia: Any = importlib.import_module("triton.backends.nvidia.compiler")
    ptx = output_of([sys.executable, str(PROGRAM), str(capability)], tmp_path)
    assert len(parameters(ptx, "scale_rows")) == 6
    stripped = strip_scratch_parameters(ptx, "scale_rows", num_arguments=4)
    assert len(parameters(stripped, "scale_rows")) == 4
    (tmp_path / "kernel.ptx").write_text(stripped)
    architecture = re.search(r"\.target (\w+)", stripped)
    assert architecture is not None
    ptxas = nvidia.get_ptxas(capability).path
    output_of([ptxas, f"-arch={architecture[1]}", "kernel.ptx"], tmp_path)


def output_of(command: list[str], folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
