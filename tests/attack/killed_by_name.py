"""A summary by name that a signal ends: the next one starts over, or finds the whole bundle."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from attack.bases import Bases
from attack.killed_process import Killed, start_and_kill
from attack.outcome import Verdict, announce
from exporter.fake_hub import FakeHub
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import BundleError

__all__ = ["try_kill"]

_NAME = "someone/tiny"
_LONGEST_S = 12.0  # of an export, on a busy machine
_END_S = 30.0


def try_kill(
    bases: Bases, place: Path, number: signal.Signals, rng: random.Random
) -> tuple[str, Verdict, str]:
    """What was done, the verdict, and why."""
    moment = rng.uniform(0, _LONGEST_S)
    what = f"a summary by name, {number.name} at {moment:.2f} s"
    announce(place.parent, what)
    article = place / "article.txt"
    article.write_text("The boat.")
    checkpoint = bases.checkpoint("pegasus")
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}

    def wait(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)

    with FakeHub({_NAME: files}) as hub:
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(place / "hf"),
            "PEGASUS_EDGE_CACHE": str(place / "cache"),
        }
        arguments = [_NAME, str(article), "--max-length=8"]
        killed = start_and_kill(
            "summarize", arguments, place, number, wait, environment=environment
        )
        if killed.code is None or killed.has_trace:
            verdict = Verdict.HANG if killed.code is None else Verdict.CRASH
            return what, verdict, killed.err[-300:]
        fault = _look(place / "cache", gentle=number != signal.SIGKILL)
        after = start_and_kill(
            "summarize", arguments, place, None, lambda process: None, environment=environment
        )
    return what, *_judge(place / "cache", killed, after, fault)


def _look(cache: Path, *, gentle: bool) -> str | None:
    """What is wrong with the cache; an export that lost whoever asked for it ends by itself."""
    end = time.monotonic() + _END_S
    while _has_export(cache):
        if time.monotonic() > end:
            return "its export goes on"
        time.sleep(0.1)
    for record in cache.glob("names/*.json"):
        try:
            open_bundle(json.loads(record.read_text())["folder"], check_hashes=True)
        except BundleError as err:
            return f"a record of what is no bundle: {err}"
    hidden = [path.name for path in cache.glob("bundles/.*")]
    return f"left behind: {hidden}" if hidden and gentle else None


def _has_export(cache: Path) -> bool:
    """Whether a process is there with this cache in its environment, and exports."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            is_of_cache = f"PEGASUS_EDGE_CACHE={cache}".encode() in (
                folder / "environ"
            ).read_bytes().split(b"\0")
            if is_of_cache and b"export_by_name" in (folder / "cmdline").read_bytes():
                return True
    return False


def _judge(cache: Path, killed: Killed, after: Killed, fault: str | None) -> tuple[Verdict, str]:
    seen = f"exit code {killed.code}; {killed.err.strip()[-200:]}"
    if fault is not None:
        return Verdict.LEFTOVER, f"{fault}; {seen}"
    if after.code != 0:
        return Verdict.WRONG, f"the next one fails: {after.code} {after.err[-300:]}; {seen}"
    bundles = sorted(path.name for path in (cache / "bundles").iterdir())
    if len(bundles) != 1 or bundles[0].startswith("."):
        return Verdict.LEFTOVER, f"after the next one: {bundles}; {seen}"
    return (Verdict.RIGHT if killed.code == 0 else Verdict.CLEAN), seen
