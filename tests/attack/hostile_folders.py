"""Commands in a folder that has a module of every name that could be imported: none is."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from attack.bases import BUNDLES, Bases
from attack.bundles import arguments_for
from attack.command_call import MODULES
from attack.outcome import Outcome, Verdict, announce
from attack.pool import child_environment

__all__ = ["PART", "prepare", "try_case"]

PART = "hostile_folders"

_HOSTILE = "open(__file__ + '.ran', 'w').close()\nraise SystemExit('hostile')\n"
_START = "import sys\nfrom {module} import main\nsys.exit(main())\n"  # as pip's scripts do
_MORE = ("sitecustomize", "usercustomize", "conftest", "setup", "_distutils_hack")
_PLANS = ("--onnx-only", "--num-beams", "4", "--max-batch", "2")


def prepare(bases: Bases) -> None:
    """Nothing: each case is a process of its own."""


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """One after the other, whatever the seed."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    here = place / "here"
    here.mkdir(parents=True)
    for name in _names():
        (here / f"{name}.py").write_text(_HOSTILE)
    scenes = _scenes(bases, place / "out")
    what = sorted(scenes)[case % len(scenes)]
    announce(folder, what)
    command, arguments = scenes[what]
    script = place / "script.py"
    script.write_text(_START.format(module=MODULES[command]))
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=here,
        env=child_environment(place),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    ran = sorted(each.name.removesuffix(".ran") for each in here.glob("*.ran"))
    verdict, words = Verdict.RIGHT, ""
    if ran:
        verdict, words = Verdict.WRONG, f"{ran} ran"
    elif done.returncode != 0:
        verdict, words = Verdict.CRASH, f"exit code {done.returncode}: {done.stderr[-300:]}"
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _names() -> set[str]:
    """Those of the standard library, of what is installed, of this project."""
    names = {*sys.stdlib_module_names, *metadata.packages_distributions(), *_MORE}
    names |= {"pegasus_runtime", "pegasus_export", "pegasus_engines", "pegasus_plugins"}
    return {name for name in names if name.isidentifier()}


def _scenes(bases: Bases, output: Path) -> dict[str, tuple[str, list[str]]]:
    """Commands, with their arguments."""
    found = {
        f"run {name}": (
            BUNDLES[name].command,
            arguments_for(bases, name, bases.bundle(name)),
        )
        for name in bases.names("bundles")
    }
    exports: dict[str, tuple[str, ...]] = {"pegasus": (), "bin": ("--target", "onnx")}
    exports["pegasus for plans"] = ("--target", "trt-rtx", *_PLANS)
    if not bases.short and importlib.util.find_spec("triton") is not None:
        exports["wide with kernels"] = ("--target", "trt", "--precision", "fp16", *_PLANS)
    for name, options in exports.items():
        model = ["--model", str(bases.checkpoint(name.split()[0])), "--output", str(output)]
        found[f"export {name}"] = ("export", [*model, *options])
    found["help"] = ("summarize", ["--help"])
    return found
