"""Block-sparse attention as TensorRT's plugin: each way into it, and the library by itself."""

from __future__ import annotations

import os
import subprocess

from gpu import parity
from gpu.setting import GateSetting, SkippedError, WrongError
from pegasus_runtime.errors import EngineError

__all__ = ["WAYS", "run", "run_harness"]

WAYS = ("library", "python", "aot")
BUNDLE = "trt-bigbird-mini-fp16"
HARNESS, LIBRARY = "drive_plugin", "libpegasus_block_sparse.so"


def run(setting: GateSetting, *, way: str) -> dict[str, float | str]:
    """BigBird's plans with the plugin brought in by one way. Raises: SkippedError, WrongError."""
    if BUNDLE not in setting.bundles:
        raise SkippedError(f"{BUNDLE} was not prepared")
    if setting.stand_ins:
        raise SkippedError("stand-ins run the plugin's body, which part `plan` does")
    from pegasus_plugins.plugin_error import PluginError
    from pegasus_plugins.ways import LIBRARY_VARIABLE, probe_ways
    from pegasus_runtime.native.tensorrt import load_flavour

    if (setting.prepared / LIBRARY).exists():
        os.environ[LIBRARY_VARIABLE] = str(setting.prepared / LIBRARY)
    try:
        missing = dict(probe_ways(load_flavour("trt").module).missing)
    except (EngineError, PluginError) as err:
        raise SkippedError(str(err).partition(": ")[0]) from err
    if way != "python" and way in missing:  # python's kernel file is in the bundle
        raise SkippedError(missing[way])
    return parity.run(setting, name=BUNDLE, plugin_way=way)


def run_harness(setting: GateSetting) -> dict[str, float | str]:
    """The C++ plugin's own harness: it checks the library, and launches its kernels."""
    program, library = (setting.prepared / name for name in (HARNESS, LIBRARY))
    if not program.exists() or not library.exists():
        raise SkippedError(f"{HARNESS} and {LIBRARY} were not prepared")
    if setting.stand_ins:
        raise SkippedError("it needs a GPU's driver")
    for arguments in (["check"], ["enqueue", "--length", "4096", "--repeats", "20"]):
        done = subprocess.run(
            [str(program), str(library), *arguments],
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise WrongError(f"{arguments[0]}: {lines[-1]}")
    return {"checks": 2}
