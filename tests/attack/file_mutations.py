"""One change of a file whatever it holds: bytes, length, or that it is no file at all."""

from __future__ import annotations

import os
import random
from pathlib import Path

__all__ = ["mutate_bytes", "replace_file"]


def mutate_bytes(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Other bytes, and in words how they differ."""
    at = rng.randrange(len(data) + 1)
    how = rng.choice(("flip", "flip", "flip", "cut", "empty", "repeat", "zeros", "noise", "longer"))
    if how == "flip":
        changed = bytearray(data)
        count = rng.choice((1, 1, 3, 20))
        for _ in range(count if data else 0):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed), f"{count} bits"
    end = min(len(data), at + rng.choice((1, 4, 64, 4096)))
    block = data[at:end]
    return {
        "cut": (data[:at], f"cut at {at}"),
        "empty": (b"", "empty"),
        "repeat": (data[:at] + block + data[at:], f"{len(block)} bytes again at {at}"),
        "zeros": (data[:at] + bytes(len(block)) + data[end:], f"zeros at {at}"),
        "noise": (data[:at] + rng.randbytes(len(block)) + data[end:], f"noise at {at}"),
        "longer": (data + rng.randbytes(100), "100 bytes more"),
    }[how]


def replace_file(path: Path, rng: random.Random) -> str:
    """Puts something else in a file's place; in words, what."""
    how = rng.choice(("nothing", "folder", "fifo", "loop", "device", "zeros", "outside", "link"))
    moved = path.with_name("moved")
    path.rename(moved)
    if how == "link":
        path.symlink_to(moved.name)
        return "a link to itself elsewhere"
    moved.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "outside":
        path.symlink_to("/etc/passwd")
    elif how == "zeros":
        with path.open("wb") as file:
            file.truncate(2**33)  # takes no room
    return {"zeros": "8 GiB of zeros", "outside": "a link to /etc/passwd"}.get(how, f"a {how}")
