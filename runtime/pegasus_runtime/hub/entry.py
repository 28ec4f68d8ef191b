"""One name's place in the cache: where its bundle lies, and what is recorded of it.

    names/KEY.json     the record, written when the bundle is complete; whoever loads by name reads
                       it, and nothing else of the cache
    bundles/KEY/       the bundle, where it was exported here; a downloaded one lies in the cache of
                       the hub itself
    locks/KEY.lock     held while somebody makes it

A KEY is readable, and of one name alone: owner--name@revision, and what was asked of an export.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pegasus_runtime.bundle import open_bundle, replace_file
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.cache_folder import CACHE_VARIABLE, cache_folder

__all__ = ["Entry", "Record", "list_records"]

_MAX_RECORD_BYTES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a bundle that was loaded by name."""

    name: str
    """owner/name."""
    revision: str | None
    """As it was asked for; None for the repository's main one."""
    made: Literal["exported", "downloaded"]
    task: str
    precision: str
    commit: str | None
    """Of the repository, where that is known."""
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Of a repository that is a bundle; with task and precision, of an export of a checkpoint."""

    name: str
    revision: str | None = None
    task: str | None = None
    precision: str | None = None

    @property
    def key(self) -> str:
        parts = [self.name.replace("/", "--"), "@", quote(self.revision or "main", safe="")]
        if self.task is not None:
            parts += [",", self.task, ",", self.precision or ""]
        return "".join(parts)

    @property
    def bundle(self) -> Path:
        """Where its export is, or would be."""
        return cache_folder() / "bundles" / self.key

    @property
    def _record(self) -> Path:
        return cache_folder() / "names" / f"{self.key}.json"

    def find(self) -> Record | None:
        """What is recorded, if its bundle is there still: all of it, and for this version."""
        record = _read_record(self._record)
        if record is None:
            return None
        try:
            open_bundle(record.folder)
        except BundleError:
            return None
        return record

    def write(self, record: Record) -> None:
        """Raises: OSError."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._record, (json.dumps(asdict(record), indent=2) + "\n").encode())

    def forget(self) -> None:
        """Removes the record; the bundle is nobody's then. Raises: OSError."""
        self._record.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, *, wait: bool = True, on_wait: str = "") -> Iterator[bool]:
        """Alone among processes, whatever becomes of them; False if another is, and nobody waits.

        on_wait: a line that is told if it takes a while. Raises: BundleError if the cache cannot be
        written.
        """
        from filelock import FileLock, Timeout  # comes with huggingface-hub

        path = cache_folder() / "locks" / f"{self.key}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0.5 if wait else 0)
            except Timeout:
                if not wait:
                    yield False
                    return
                _tell(on_wait)
                lock.acquire()
        except OSError as err:
            raise BundleError(
                f"{cache_folder()}: the cache cannot be written ({err.strerror}): set "
                f"{CACHE_VARIABLE} to a folder that can"
            ) from err
        try:
            yield True
        finally:
            lock.release()


def list_records() -> list[tuple[Entry, Record]]:
    """All that are there, by name."""
    try:
        paths = sorted((cache_folder() / "names").glob("*.json"))
    except OSError:
        return []
    found = []
    for path in paths:
        record = _read_record(path)
        if record is None:
            continue
        entry = Entry(name=record.name, revision=record.revision)
        if record.made == "exported":
            entry = Entry(
                name=record.name,
                revision=record.revision,
                task=record.task,
                precision=record.precision,
            )
        if entry.key == path.stem:
            found.append((entry, record))
    return found


def _read_record(path: Path) -> Record | None:
    """None of what is none: somebody's own file, or of another version."""
    try:
        with path.open("rb") as file:
            fields = json.loads(file.read(_MAX_RECORD_BYTES))
        record = Record(**fields)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    values = asdict(record)
    optional = [values.pop("revision"), values.pop("commit")]
    is_text = all(isinstance(each, str) for each in values.values())
    is_text &= all(each is None or isinstance(each, str) for each in optional)
    return record if is_text and record.made in ("exported", "downloaded") else None


def _tell(line: str) -> None:
    from pegasus_runtime.command_line.messages import note

    if line:
        note("pegasus-edge", line)
