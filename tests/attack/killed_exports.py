"""Exports that a signal ends: the old bundle or the new one is there, whole, and nothing else."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from attack.bases import Bases
from attack.killed_process import Killed, start_and_kill
from attack.outcome import Verdict, announce
from pegasus_runtime.bundle import open_bundle, write_bundle
from pegasus_runtime.errors import BundleError

__all__ = ["publish_copy", "try_kill"]

_LONGEST_S = 9.0  # of an export, on a busy machine
_WRITES_S = 3.0  # from the first file that it writes on
_CACHES = ("torchinductor_",)


def try_kill(
    bases: Bases, place: Path, number: signal.Signals, rng: random.Random
) -> tuple[str, Verdict, str]:
    """What was done, the verdict, and why."""
    outputs = place / "outputs"
    outputs.mkdir()
    output = outputs / "out"
    force, after_writing = rng.random() < 0.6, rng.random() < 0.6
    neighbour = rng.random() < 0.15
    moment = rng.uniform(0, _WRITES_S if after_writing else _LONGEST_S)
    if force:
        shutil.copytree(bases.bundle("twin"), output)
    what = f"export{' --force' if force else ''}, {number.name} at {moment:.2f} s"
    what += " of writing" if after_writing else ""
    if neighbour:
        what = "an export beside one that runs"
    announce(place.parent, what)

    def wait(process: subprocess.Popen[bytes]) -> None:
        while (after_writing or neighbour) and not _hidden(outputs) and process.poll() is None:
            time.sleep(0.01)
        if neighbour:
            publish_copy(bases.bundle("pegasus"), outputs / "neighbour")
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)

    model = str(bases.checkpoint("pegasus"))
    arguments = ["--model", model, "--output", str(output), "--quiet"]
    arguments += ["--force"] if force else []
    killed = start_and_kill("export", arguments, place, None if neighbour else number, wait)
    if neighbour and killed.code != 0:
        return what, Verdict.WRONG, f"exit code {killed.code}: {killed.err.strip()}"
    gentle = neighbour or number != signal.SIGKILL
    return what, *_judge(bases, place, output, killed, force=force, gentle=gentle)


def _judge(
    bases: Bases, place: Path, output: Path, killed: Killed, *, force: bool, gentle: bool
) -> tuple[Verdict, str]:
    seen = f"exit code {killed.code}; {killed.err.strip()[-200:]}"
    if killed.code is None:
        return Verdict.HANG, seen
    if killed.has_trace:
        return Verdict.CRASH, seen
    if (force or killed.code == 0) and not output.exists():
        return Verdict.WRONG, f"no bundle is there; {seen}"
    for folder in [output, *_hidden(output.parent)]:
        if _is_half(folder):
            return Verdict.WRONG, f"half a bundle in {folder.name}; {seen}"
    if output.exists() and not _opens(output):
        return Verdict.WRONG, f"no whole bundle; {seen}"
    temporary = [each.name for each in (place / "tmp").iterdir()]
    temporary = [each for each in temporary if not each.startswith(_CACHES)]
    if gentle and (temporary or _hidden(output.parent)):
        return Verdict.LEFTOVER, f"{temporary} {_hidden(output.parent)}; {seen}"
    publish_copy(bases.bundle("pegasus"), output.with_name("next"))
    if _hidden(output.parent):
        return Verdict.LEFTOVER, f"after the next export: {_hidden(output.parent)}; {seen}"
    return (Verdict.RIGHT if killed.code == 0 else Verdict.CLEAN), seen


def publish_copy(bundle: Path, output: Path, *, force: bool = False) -> None:
    """As an export does it, of a bundle that is there."""
    with write_bundle(output, force=force) as staging:
        for path in bundle.iterdir():
            if path.name != "manifest.json":
                shutil.copy(path, staging.path)
        staging.commit(open_bundle(bundle).manifest)


def _hidden(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.name.startswith("."))


def _opens(folder: Path, *, check_hashes: bool = True) -> bool:
    try:
        open_bundle(folder, check_hashes=check_hashes)
    except BundleError:
        return False
    return True


def _is_half(folder: Path) -> bool:
    return _opens(folder, check_hashes=False) and not _opens(folder)
