"""The file beside an output that says how far it is, and of which run.

It is replaced in one step after what it tells of is on the disk. So whatever it says is there; what
came after it, if anything did, is cut off by whoever goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pegasus_runtime.bundle.when_free import when_free
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.window import Position

__all__ = ["Counts", "State", "check_same_run", "read_state", "sync_folder", "write_state"]

_VERSION = 1
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of records, since the run began, interruptions or not."""

    written: int = 0
    failed: int = 0
    blank: int = 0
    truncated: int = 0
    """Of those that are written, as many as there is each remark on; see `Remark`."""
    unknown: int = 0
    html: int = 0
    controls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far a run is."""

    run: Mapping[str, str]
    """What its output depends on, by name: files, bundle, options."""
    position: Position = field(default_factory=Position)
    """What was read for all that is written."""
    output_bytes: int = 0
    """Of whole windows; of Parquet, how many parts there are."""
    output_sha256: str = ""
    """Of the last window of them, which tells whether somebody changed the output."""
    failures_bytes: int = 0
    counts: Counts = field(default_factory=Counts)
    is_complete: bool = False


def write_state(path: Path, state: State) -> None:
    """Replaces what was there, on the disk when it returns. Raises: OSError."""
    text = json.dumps({"version": _VERSION, **asdict(state)}, indent=1) + "\n"
    unfinished = path.with_name(f"{path.name}.new")  # whoever writes has the output to himself
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(unfinished, flags, 0o666), "wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())
    when_free(lambda: unfinished.replace(path))
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names are on the disk, too; Windows opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_state(path: Path) -> State | None:
    """None where there is none. Raises: OptionsError for what nobody wrote here."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found.pop("version") != _VERSION:
            raise ValueError("of another version")
        state = replace(
            State(**found),
            position=Position(**found["position"]),
            counts=Counts(**found["counts"]),
        )
        _check_values(asdict(state), asdict(State(run={})))
        if not all(isinstance(value, str) for value in state.run.values()):
            raise ValueError("run")
        return state
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise OptionsError(
            f"{path}: does not say how far the output is ({type(err).__name__}): begin anew with "
            "--force"
        ) from err


def _check_values(found: Mapping[str, Any], like: Mapping[str, Any]) -> None:
    """Whether all are of the kinds that these have, no number below 0. Raises: ValueError."""
    for name, value in like.items():
        given = found[name]
        if type(given) is not type(value) or (isinstance(given, int) and given < 0):
            raise ValueError(name)
        if isinstance(value, dict):
            _check_values(given, value)


def check_same_run(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises: OptionsError where a run would not write what the one before did."""
    for name in (*now, *before):
        if before.get(name) != now.get(name):
            was, would = (_shown(each.get(name)) for each in (before, now))
            raise OptionsError(
                f"{path}: its run had another {name}, {was}, this one {would}: give the same, or "
                "begin anew with --force"
            )


def _shown(value: str | None) -> str:
    text = "none" if value is None else value
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
