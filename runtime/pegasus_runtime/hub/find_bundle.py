"""From what a program was given, a folder or a name of the hub, to the folder of a bundle."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pegasus_runtime.command_line.messages import note
from pegasus_runtime.errors import BundleError, OptionsError
from pegasus_runtime.hub.address import HUB_NAME, looks_like_path, read_address
from pegasus_runtime.hub.entry import Entry, Record
from pegasus_runtime.hub.export_child import check_can_export, export_entry

__all__ = ["export_once", "find_bundle"]

_PROGRAM = "pegasus-edge"
_MOST_OF_REVISION = 100
_MOST_OF_PRECISION = 20


def find_bundle(
    source: Path | str, task: str, *, precision: str | None = None, revision: str | None = None
) -> Path:
    """The folder of a bundle.

    source: a folder; or, if there is none, "owner/name" or an address of the hub, whose bundle, or
    an export of whose checkpoint, is in the cache from then on. A Path is always a folder, and so
    is a text whose first part is there.
    task, precision: of an export; None: fp32. revision: branch, tag or commit.
    Raises: BundleError, OptionsError.
    """
    name, revision = _read_name(source, revision)
    if not name:
        return Path(source)
    _check_word("precision", precision, "one such as 'int8'", _MOST_OF_PRECISION)
    record = _find(name, revision, task, precision) or _make(name, revision, task, precision)
    return Path(record.folder)


def _read_name(source: Path | str, revision: str | None) -> tuple[str, str | None]:
    """Id and revision; "" of a folder. Raises: OptionsError."""
    _check_word("revision", revision, "a branch, a tag or a commit", _MOST_OF_REVISION)
    name, of_address = "", None
    if isinstance(source, str) and not os.path.exists(source):
        try:
            name, of_address = read_address(source)
        except ValueError as err:
            raise OptionsError(str(err)) from err
        if not name and HUB_NAME.fullmatch(source) and not looks_like_path(source):
            name = "" if os.path.lexists(source.split("/")[0]) else source
    if not name and revision is not None:
        raise OptionsError(f"{source} is a folder, got revision {revision}: leave the revision out")
    if revision and of_address and revision != of_address:
        raise OptionsError(f"{source} names revision {of_address}, got {revision}: give one")
    _check_word("revision", of_address, "a branch, a tag or a commit", _MOST_OF_REVISION)
    return name, revision or of_address


def _check_word(name: str, value: object, expected: str, most: int) -> None:
    """None, or a short text that can be part of a file's name. Raises: OptionsError."""
    is_word = isinstance(value, str) and 0 < len(value) <= most and value.isprintable()
    if value is not None and not is_word:
        raise OptionsError(f"{name} is {value!r:.80}, expected {expected}")


def _find(name: str, revision: str | None, task: str, precision: str | None) -> Record | None:
    """What is here already; nothing is asked of the hub then."""
    ready = Entry(name=name, revision=revision).find()
    if ready is not None:
        return _checked(ready, precision)
    return _export_of(name, revision, task, precision).find()


def _export_of(name: str, revision: str | None, task: str, precision: str | None) -> Entry:
    return Entry(name=name, revision=revision, task=task, precision=precision or "fp32")


def _checked(ready: Record, precision: str | None) -> Record:
    """Raises: OptionsError."""
    if precision not in (None, ready.precision):
        raise OptionsError(
            f"{ready.name} is a bundle in {ready.precision}, precision is {precision!r}: leave it "
            "out, or name the checkpoint that it was made from"
        )
    return ready


def _make(name: str, revision: str | None, task: str, precision: str | None) -> Record:
    from pegasus_runtime.hub.client import import_hub

    try:
        import_hub()
    except ModuleNotFoundError as err:
        raise BundleError(
            f"{name} is not a folder, and to load it from a hub needs {err.name}: "
            "pip install 'pegasus-edge[hub]' for a bundle that is ready, or "
            "'pegasus-edge[export,cpu]' for a checkpoint"
        ) from err
    from pegasus_runtime.hub.download_bundle import NotReachedError

    try:
        record = _download(name, revision)
    except NotReachedError as err:  # its checkpoint may have been downloaded before
        try:
            check_can_export(name)
        except BundleError:
            raise BundleError(str(err)) from err
        record = None
    if record is None:
        record = export_once(_export_of(name, revision, task, precision))
    else:
        record = _checked(record, precision)
    return record


def _download(name: str, revision: str | None) -> Record | None:
    from pegasus_runtime.hub.download_bundle import download_bundle

    entry = Entry(name=name, revision=revision)
    with entry.locked(on_wait=f"{name}: waiting for another process that downloads it"):
        record = entry.find()
        if record is not None:
            return record
        found = download_bundle(name, revision)
        if found is None:
            return None
        bundle, commit = found
        note(_PROGRAM, f"{name}: downloaded, is in {bundle.folder}")
        record = Record(
            name=name,
            revision=revision,
            made="downloaded",
            task=bundle.manifest.task,
            precision=bundle.manifest.precision,
            commit=commit,
            # As the hub's cache has it, with its links: weights are looked for beside a graph.
            folder=str(bundle.folder),
        )
        _write(entry, record)
        return record


def export_once(entry: Entry, *, checkpoint: Path | None = None) -> Record:
    """The record of an export that is here already, or is made now.

    checkpoint: its folder, where it is not the one that the hub has of that name. Raises:
    BundleError.
    """
    record = entry.find()
    if record is not None:
        return record
    check_can_export(entry.name)
    with entry.locked(on_wait=f"{entry.name}: waiting for another process that exports it"):
        record = entry.find()
        if record is None:
            note(_PROGRAM, f"{entry.name}: exporting it in {entry.precision}, once")
            start = time.perf_counter()
            export_entry(entry, model=str(checkpoint or entry.name))
            seconds = time.perf_counter() - start
            note(_PROGRAM, f"{entry.name}: exported in {seconds:.0f} s, is in {entry.bundle}")
            record = Record(
                name=entry.name,
                revision=entry.revision,
                made="exported",
                task=entry.task or "",
                precision=entry.precision or "",
                commit=None,
                folder=str(entry.bundle),
            )
            _write(entry, record)
    return record


def _write(entry: Entry, record: Record) -> None:
    try:
        entry.write(record)
    except OSError as err:
        raise BundleError(
            f"{record.folder} is complete, but the cache takes no record of it "
            f"({err.strerror}): load that folder"
        ) from err
