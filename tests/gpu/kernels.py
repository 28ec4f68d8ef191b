"""The kernels of `plugins/`: compiled beforehand, compiled by Triton here, and under a sanitizer.

Each against the reference in float64, with the tolerances of the project's tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np

from gpu.copies import view_of
from gpu.setting import KERNELS, GateSetting, SkippedError, WrongError
from gpu_stand_ins.driver import from_numbers, to_numbers
from pegasus_plugins import reference
from pegasus_plugins.driver import AttentionLauncher, AttentionMemory, AttentionShape
from pegasus_plugins.kernel_file import ATTEND, KernelVariant, read_kernel_file
from pegasus_plugins.specification import AttentionSpec
from pegasus_runtime.sessions.cuda.device import CudaDevice
from plugins.tolerances import TOLERANCES

__all__ = ["run", "run_compiled", "run_sanitized"]

HEADS, BLOCKS = 2, 11


def run_compiled(setting: GateSetting) -> dict[str, float | str]:
    """Every variant of the kernel file that was compiled elsewhere, through the driver's API."""
    path = setting.prepared / KERNELS
    if not path.exists():
        raise SkippedError("no kernel file was prepared")
    device, kernels = CudaDevice(), read_kernel_file(path)
    launcher = AttentionLauncher(kernels)
    variants = {x.variant for x in kernels.images if x.kernel == ATTEND}
    figures: dict[str, float | str] = {"variants": len(variants)}
    for variant in sorted(variants, key=str):
        error = _compiled_error(device, launcher, variant)
        name = f"{variant.dtype} {variant.head_dim} {variant.block_size} {variant.plan_columns}"
        figures[f"error of {name}"] = error
        if not error <= TOLERANCES[variant.dtype]:
            raise WrongError(f"{name}: the error is {error:.1e}")
    return figures


def _compiled_error(
    device: CudaDevice, launcher: AttentionLauncher, variant: KernelVariant
) -> float:
    length = BLOCKS * variant.block_size - 7
    spec = AttentionSpec(
        num_heads=HEADS,
        block_size=variant.block_size,
        num_random_blocks=3,
        longest_full=0,
        scale=variant.head_dim**-0.5,
    )
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((3, 1, HEADS, length, variant.head_dim))
    tensors = [from_numbers(x, variant.dtype) for x in drawn]
    mask = (rng.random((1, length)) < 0.9).astype(np.int32)
    plan = None
    if variant.plan_columns:
        size = (HEADS * BLOCKS, variant.plan_columns)
        plan = rng.integers(0, BLOCKS + 1, size, dtype=np.int32)
    arrays = [*tensors, mask, *([] if plan is None else [plan])]
    views = [view_of(device, array) for array in arrays]
    output = view_of(device, tensors[0])
    for array, view in zip(arrays, views, strict=True):
        device.upload(array, view)
    shape = AttentionShape(
        variant=variant, batch=1, length=length, plan_rows=0 if plan is None else len(plan)
    )
    with device.hold():
        workspace = device.allocate(launcher.workspace_bytes(spec, shape))
        memory = AttentionMemory(
            query=views[0].address,
            key=views[1].address,
            value=views[2].address,
            key_mask=views[3].address,
            output=output.address,
            plan=0 if plan is None else views[4].address,
            workspace=workspace.address,
        )
        launcher.launch(spec, shape, memory, device.stream_handle)
    got = to_numbers(device.download(output))
    exact = [to_numbers(x) for x in tensors]
    expected = reference.attend(spec, exact[0], exact[1], exact[2], mask, plan)
    return float(np.abs(got - expected).max())


def run(setting: GateSetting) -> dict[str, float | str]:
    """Triton's own launches, in every dtype; without a GPU a tiny one, in its interpreter."""
    if setting.stand_ins:
        os.environ["TRITON_INTERPRET"] = "1"
    try:
        import torch
        import triton  # noqa: F401
    except ModuleNotFoundError as err:
        raise SkippedError(f"{err.name} is not installed") from err
    from plugins.kernel_check import check_kernel, gpu_cases, tiny_cases

    if not setting.stand_ins and not torch.cuda.is_available():
        raise SkippedError(f"torch {torch.__version__} finds no GPU")
    cases, device = (tiny_cases()[:1], "cpu") if setting.stand_ins else (gpu_cases(), "cuda")
    figures: dict[str, float | str] = {"cases": len(cases)}
    for case in cases:
        error = check_kernel(case, device)
        worst = float(figures.get(f"error of {case.dtype}", 0.0))
        figures[f"error of {case.dtype}"] = max(worst, error)
        if not case.is_right(error):
            raise WrongError(f"{case}: the error is {error:.1e}")
    return figures


def run_sanitized(setting: GateSetting) -> dict[str, float | str]:
    """The kernels that were compiled elsewhere, watched by CUDA's memcheck."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        raise SkippedError("compute-sanitizer is not here")
    if setting.stand_ins:
        raise SkippedError("stand-ins have nothing that it could watch")
    outcome = setting.work / "sanitized.json"
    child = [sys.executable, "-m", "gpu.child", "compiled kernels"]
    command = [sanitizer, "--error-exitcode", "9", *child, str(setting.work / "setting.json")]
    done = subprocess.run(
        [*command, str(outcome)], capture_output=True, text=True, timeout=80, check=False
    )
    if done.returncode:
        lines = [x for x in done.stdout.splitlines() if x.startswith("=========")]
        raise WrongError(" ".join(lines[1:3]) or f"exit status {done.returncode}")
    return {"errors": 0}
