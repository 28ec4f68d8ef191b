"""A bundle on this node: where it is, or fetched once for all actors of the node.

What is fetched lies in the cache under the SHA-256 of its manifest, which says all that is in it.
It is written to a folder beside that, every file checked as it comes, and gets its name when it is
complete; what a killed actor left is cleared away by the next one. One actor fetches, the others of
the node wait for it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pegasus_ray.bundle_source import BundleSource
from pegasus_ray.remote_folder import RemoteFolder
from pegasus_runtime.bundle import MANIFEST_NAME, parse_manifest
from pegasus_runtime.bundle.folder_lock import hold_alone
from pegasus_runtime.bundle.leftovers import clear_leftovers, sibling_of
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.cache_folder import CACHE_VARIABLE, cache_folder

__all__ = ["fetch_bundle"]


def fetch_bundle(source: BundleSource) -> Path | str:
    """A folder of this node that has the bundle; a name of a hub as it is, for `load` to look up.

    Which bundle a folder has is for `load` to check.
    Raises: BundleError if it cannot be had, or is not the one that is wanted.
    """
    if not source.is_uri or source.manifest_sha256 is None:
        return source.place
    folder = cache_folder() / "fetched" / source.manifest_sha256
    from filelock import FileLock  # comes with Ray

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                clear_leftovers(folder)
                _fetch(source, folder)
    except OSError as err:
        raise BundleError(
            f"{folder.parent}: the cache cannot be written ({err.strerror}): free some space, or "
            f"set {CACHE_VARIABLE} on the nodes to a folder that can"
        ) from err
    return folder


def _fetch(source: BundleSource, folder: Path) -> None:
    remote = RemoteFolder.open(str(source.place), source.storage_options)
    text, sha256 = remote.read_manifest()
    if sha256 != source.manifest_sha256:
        raise BundleError(
            f"{remote.shown}/{MANIFEST_NAME}: its SHA-256 is {sha256}, expected "
            f"{source.manifest_sha256}: not the bundle that was asked for"
        )
    manifest = parse_manifest(text)
    partial = sibling_of(folder, "partial")
    try:
        partial.mkdir()
        with hold_alone(partial):
            for name, record in manifest.files.items():
                remote.copy(name, record, partial / name)
            (partial / MANIFEST_NAME).write_bytes(text.encode())
            os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    note("pegasus-ray", f"{remote.shown}: fetched, is in {folder}")
