"""Commands watched by strace: none asks for a socket, none leaves a file in the user's folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attack.bases import BUNDLES, Bases
from attack.bundles import arguments_for
from attack.command_call import MODULES
from attack.outcome import Outcome, Verdict, announce
from attack.pool import child_environment

__all__ = ["PART", "has_strace", "prepare", "try_case"]

PART = "connections"

_CALLS = "trace=socket,connect,sendto,sendmsg,sendmmsg"
_EXPORTS: Mapping[str, tuple[str, ...]] = {
    "pegasus": (),
    "bigbird": ("--target", "onnx"),
    "labels": ("--precision", "int8"),
    "bin": ("--target", "trt-rtx", "--onnx-only", "--num-beams", "4", "--max-batch", "2"),
    "sharded": ("--precision", "fp16"),
}
_LIBRARY = """
import sys, threading
from pegasus_runtime import Summarizer
with Summarizer.load(sys.argv[1]) as summarizer:
    threads = [threading.Thread(target=summarizer.summarize, args=["The boat."]) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
_LOCAL = re.compile(
    r"socket\(AF_UNIX, |connect\(\d+, {sa_family=AF_UNIX, .*/nscd/socket|"
    r"<\.\.\. (?:socket|connect) resumed"
)
"""How the C library asks this machine for the name of the user; and the rest of a call that strace
shows in two lines, of which the first says what it is."""
_CACHES = ("tmp/torchinductor_",)


def has_strace() -> bool:
    """Whether there is anything to watch with."""
    return shutil.which("strace") is not None


def prepare(bases: Bases) -> None:
    """Raises: RuntimeError without strace."""
    if not has_strace():
        raise RuntimeError("connections are seen by strace, which is not installed")


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """One after the other, whatever the seed: a bundle that runs, or a checkpoint's export."""
    scenes = _scenes(bases, folder / "place" / "out")
    what = sorted(scenes)[case % len(scenes)]
    announce(folder, what)
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    for each in ("tmp", "home", "cache"):
        (place / each).mkdir(parents=True)
    log = place / "calls"
    watch = ["strace", "-f", "-qq", "-e", _CALLS, "-e", "signal=none", "-o", str(log)]
    done = subprocess.run(
        [*watch, sys.executable, *scenes[what]],
        cwd=place / "tmp",
        env=_environment(place),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    verdict, words = _judge(done, log.read_text("utf-8", "replace"), place)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _judge(done: subprocess.CompletedProcess[str], calls: str, place: Path) -> tuple[Verdict, str]:
    if done.returncode != 0:
        return Verdict.CRASH, f"exit code {done.returncode}: {done.stderr[-300:]}"
    asked = [line for line in calls.splitlines() if not _LOCAL.search(line)]
    if asked:
        return Verdict.WRONG, f"{len(asked)} calls: {asked[0]}"
    left = [
        path.relative_to(place).as_posix()
        for each in ("tmp", "home", "cache")
        for path in (place / each).rglob("*")
    ]
    left = [each for each in left if not each.startswith(_CACHES)]
    return (Verdict.LEFTOVER, str(left)) if left else (Verdict.RIGHT, "")


def _scenes(bases: Bases, output: Path) -> dict[str, list[str]]:
    """What Python is to run."""
    found = {
        f"run {name}": [
            *("-m", MODULES[BUNDLES[name].command]),
            *arguments_for(bases, name, bases.bundle(name)),
        ]
        for name in bases.names("bundles")
    }
    for name in bases.names("checkpoints"):
        if name in _EXPORTS:
            model = ["--model", str(bases.checkpoint(name)), "--output", str(output)]
            found[f"export {name}"] = ["-m", MODULES["export"], *model, *_EXPORTS[name]]
    found["threads"] = ["-c", _LIBRARY, str(bases.bundle("pegasus"))]
    return found


def _environment(place: Path) -> dict[str, str]:
    """As a user has it: on CI servers, of which variables tell, libraries keep quiet."""
    kept = ("PATH", "LANG", "LD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    own = ("PYTHONPATH", "TMPDIR", "HOME", "XDG_CACHE_HOME")
    return found | {name: child_environment(place)[name] for name in own}
