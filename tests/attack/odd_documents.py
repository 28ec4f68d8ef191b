"""Documents under names, and with bytes, that nobody expects."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attack.bases import Bases

__all__ = ["Documents", "draw_documents"]

_TEXT_NAMES = ("plain.txt", "a\nb.txt", "a\tb.txt", "\udcff.txt", "-dash", "é🦆.txt", "\x1b[31m")
_BAD_BYTES: Mapping[str, bytes] = {
    "empty": b"",
    "spaces": b" \n\t ",
    "latin": b"caf\xe9",
    "utf16": "text".encode("utf-16"),
    "nul": b"\x00" * 100,
    "bell": b"\x07" * 50,
    "bom": b"\xef\xbb\xbf",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Arguments for a command."""

    names: list[str]
    are_sound: bool
    """Whether each of them has to be read, and given a result."""


def draw_documents(bases: Bases, folder: Path, rng: random.Random) -> Documents:
    """Up to three, written to the folder where they need to be."""
    names, are_sound = [], True
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.65:
            path = os.path.join(folder, rng.choice(_TEXT_NAMES))
            shutil.copy(bases.document(rng.choice(("short", "other"))), path)
            names.append(path)
        else:
            names.append(_draw_unsound(bases, folder, rng))
            are_sound = False
    return Documents(names=names, are_sound=are_sound)


def _draw_unsound(bases: Bases, folder: Path, rng: random.Random) -> str:
    name = rng.choice((*_BAD_BYTES, "loop", "folder", "missing", "name", "path", "long", "special"))
    path = folder / name
    if name in _BAD_BYTES:
        path.write_bytes(_BAD_BYTES[name])
    elif name == "loop":
        return "loop"  # which every case's folder has
    elif name == "folder":
        path.mkdir(exist_ok=True)
    elif name == "name":
        return str(folder / ("x" * rng.choice((255, 256, 300, 5000))))
    elif name == "path":
        return str(folder) + "/." * 3000
    elif name == "long":
        return str(bases.document("long"))
    elif name == "special":
        return rng.choice(("/proc/self/mem", "/dev/null", "", "-", "/dev/stdout/x", "\udcff"))
    return str(path)
