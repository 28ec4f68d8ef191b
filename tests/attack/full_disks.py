"""Exports to a disk that is full after so many bytes: nothing is left, or the old bundle, whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from attack.bases import Bases
from attack.command_call import Call, call, complaint
from attack.outcome import Outcome, Verdict, announce
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import BundleError

__all__ = ["PART", "prepare", "try_case"]

PART = "full_disks"

_SIZES = 20
_MESSAGES_BYTES = 2**16  # which are caught in files, too
_CLONE_NEWNS = 0x00020000


def prepare(bases: Bases) -> None:
    """Mounts are this process's own, and go with it; imports all that is used."""
    if _can_mount() and ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=False)
    call("export", ["--model", "nowhere", "--output", "nowhere"])


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """Sizes from none to enough, in 20 steps; every other export replaces a bundle."""
    force = case % 2 == 1
    sound = bases.bundle("twin" if force else "pegasus")
    needed = sum(each.stat().st_size for each in sound.iterdir())
    room = needed * (case % _SIZES) // (_SIZES - 4)
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    what = f"export{' --force' if force else ''}, room for {room} bytes"
    with _small_disk(disk, room + (needed + 2**17 if force else 0)) as kind:
        what += f" ({kind})"
        announce(folder, what)
        if force:
            shutil.copytree(sound, disk / "out")
        arguments = ["--model", str(bases.checkpoint("pegasus")), "--output", str(disk / "out")]
        with _limited(room if kind == "limit of a file" else None):
            found = call("export", [*arguments, "--quiet", *(["--force"] if force else [])])
        verdict, words = _judge(found, disk, sound if force else None)
    shutil.rmtree(disk)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _judge(found: Call, disk: Path, old: Path | None) -> tuple[Verdict, str]:
    fault = complaint(found)
    if fault is not None:
        return Verdict.CRASH, fault
    there = sorted(each.name for each in disk.iterdir())
    if there != (["out"] if old is not None or found.code == 0 else []):
        return Verdict.LEFTOVER, f"{there} after exit code {found.code}"
    if there:
        try:
            manifest = open_bundle(disk / "out", check_hashes=True).manifest
        except BundleError as err:
            return Verdict.WRONG, f"the bundle is not whole: {err}"
        if found.code != 0 and old is not None and manifest != open_bundle(old).manifest:
            return Verdict.WRONG, "the old bundle is not there"
    if found.code == 0:
        return Verdict.RIGHT, ""
    if "space" not in found.err and "large" not in found.err:
        return Verdict.WRONG, f"the message does not say why: {found.err.strip()}"
    return Verdict.CLEAN, found.err.strip()


@contextlib.contextmanager
def _small_disk(disk: Path, num_bytes: int) -> Iterator[str]:
    """A file system of this size, which only root can mount; in words, what it is."""
    size = f"size={max(num_bytes, 4096)}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    if not _can_mount() or subprocess.run(command, capture_output=True).returncode != 0:
        yield "limit of a file"
        return
    try:
        yield "a small disk"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def _limited(num_bytes: int | None) -> Iterator[None]:
    """No file grows beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if num_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(num_bytes, _MESSAGES_BYTES), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
