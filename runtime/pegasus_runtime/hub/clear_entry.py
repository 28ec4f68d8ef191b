"""Entries of the cache deleted, while nobody makes them anew."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from pegasus_runtime.bundle.folder_lock import hold_alone
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.entry import Entry, Record

__all__ = ["clear_entry", "size_of"]

_READ_FOR_S = 2.0


def clear_entry(entry: Entry, record: Record) -> int:
    """Deletes the record, then the bundle; the bytes that this freed.

    A downloaded bundle is deleted from the hub's own cache. Raises: BundleError if it is being
    made, or cannot be deleted.
    """
    with entry.locked(wait=False) as is_ours:
        if not is_ours:
            raise BundleError(f"{entry.name}: another process is about to make it: try again later")
        try:
            entry.forget()
            if record.made == "downloaded":
                return _delete_of_hub(record)
            size = size_of(entry.bundle)
            with hold_alone(entry.bundle, timeout_s=_READ_FOR_S):  # or it is mapped already
                shutil.rmtree(entry.bundle, ignore_errors=False)
        except FileNotFoundError:
            return 0
        except OSError as err:
            raise BundleError(
                f"{entry.name}: {err.filename or entry.bundle} cannot be deleted "
                f"({err.strerror}): close the programs that use it, and delete it yourself"
            ) from err
    return size


def size_of(folder: Path) -> int:
    """Bytes of all files; links are followed."""
    return sum(
        os.path.getsize(path)
        for parent, _, names in os.walk(folder)
        for name in names
        if os.path.isfile(path := os.path.join(parent, name))
    )


def _delete_of_hub(record: Record) -> int:
    from huggingface_hub.errors import CacheNotFound

    from pegasus_runtime.hub.client import import_hub

    folder = Path(record.folder)
    try:
        cached = import_hub().scan_cache_dir()
    except CacheNotFound:  # deleted by hand
        return 0
    for repo in cached.repos:
        if any(revision.snapshot_path == folder for revision in repo.revisions):
            # Of this one alone: a copy of a repository has its commits, too.
            own = replace(cached, repos=frozenset({repo}))
            strategy = own.delete_revisions(folder.name)
            strategy.execute()
            return int(strategy.expected_freed_size)
    return 0
