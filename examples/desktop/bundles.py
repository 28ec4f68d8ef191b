"""Which bundle to load first, and what to say of a loaded one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.events import BundleFacts
from desktop.worker import Loaded

if TYPE_CHECKING:
    from pegasus_runtime import Summarizer

__all__ = ["choose_first", "find_built_in", "find_example", "is_bundle", "load"]

_REPOSITORY = Path(__file__).resolve().parents[2]


def is_bundle(folder: Path) -> bool:
    """Whether one lies there. A disk that is gone, or its server, is no reason not to start."""
    return os.path.isfile(folder / "manifest.json")  # Path's own raises what is not "no such file"


def find_built_in() -> Path | None:
    """The bundle inside the packaged program, or the one that would be packaged."""
    folder = (_unpacked() or _REPOSITORY / "build" / "desktop") / "bundle"
    return folder if is_bundle(folder) else None


def find_example() -> Path | None:
    """A text of the kind that the built-in model was trained on."""
    packaged = _unpacked()
    file = (packaged or _REPOSITORY / "examples" / "articles") / "earthquake_623.txt"
    return file if file.is_file() else None


def choose_first(asked: Path | None, remembered: str) -> Path | None:
    """The bundle that was asked for; else the last one, if it is still there; else our own."""
    if asked is not None:
        return asked
    if remembered and is_bundle(Path(remembered)):
        return Path(remembered)
    return find_built_in()


def _unpacked() -> Path | None:
    """Where PyInstaller's program finds its files; None for one that is not packaged."""
    folder = getattr(sys, "_MEIPASS", None)
    return None if folder is None else Path(folder)


def load(folder: Path, threads: int | None = None) -> Loaded:
    """Loads a folder, never a name: this program asks no network. Raises: PegasusError."""
    from pegasus_runtime import Summarizer  # in the worker's thread, while the window opens

    summarizer = Summarizer.load(Path(folder), threads=threads, newlines="original")
    return Loaded(summarizer=summarizer, facts=_describe(summarizer, folder))


def _describe(summarizer: Summarizer, folder: Path) -> BundleFacts:
    """Raises: OptionsError where the checkpoint's own defaults cannot be met."""
    manifest, settings = summarizer.bundle.manifest, summarizer.resolve()
    return BundleFacts(
        folder=folder,
        name=Path(manifest.source.name).name,
        precision=manifest.precision,
        num_bytes=sum(record.bytes for record in manifest.files.values()),
        num_beams=settings.num_beams,
        min_length=settings.min_length,
        max_length=settings.max_length,
        max_beams=manifest.limits.max_beams,
        max_target_tokens=manifest.limits.max_target_tokens,
        max_source_tokens=manifest.limits.max_source_tokens,
    )
