"""A repository of the hub that is a bundle already: fetched into the hub's own cache.

Only what its manifest names is fetched. That lies in a folder of links into blobs/, which are the
hub's and not the manifest's: a manifest names files of its own folder only.
"""

from __future__ import annotations

import glob
from pathlib import Path

from pegasus_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle, parse_manifest
from pegasus_runtime.bundle.json_node import MAX_TEXT_BYTES
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.client import explain_failure, import_hub

__all__ = ["NotReachedError", "download_bundle"]


_OURS = ("schema_version", "target", "graphs", "token_ids")
"""Fields that a manifest of ours has had in every version."""


class NotReachedError(BundleError):
    """The hub does not answer, and its cache has nothing: nobody can tell what a name is."""


def download_bundle(name: str, revision: str | None) -> tuple[Bundle, str] | None:
    """The bundle and its commit; None where the repository has no manifest of ours.

    Raises: BundleError.
    """
    from huggingface_hub import errors

    try:
        manifest = Path(import_hub().hf_hub_download(name, MANIFEST_NAME, revision=revision))
    except errors.LocalEntryNotFoundError as err:  # one of EntryNotFoundError
        raise NotReachedError(explain_failure(name, revision, err)) from err
    except errors.EntryNotFoundError:
        return None
    # The HTTP library under huggingface_hub changes between its versions, its errors with it.
    except Exception as err:
        raise BundleError(explain_failure(name, revision, err)) from err
    text = _read_text(manifest)
    if any(f'"{field}"' not in text for field in _OURS):  # somebody else's manifest.json
        return None
    commit = manifest.parent.name  # what follows is of the same one
    names = [MANIFEST_NAME, *parse_manifest(text).files]
    try:
        folder = import_hub().snapshot_download(
            name, revision=commit, allow_patterns=[glob.escape(each) for each in names]
        )
    except Exception as err:
        raise BundleError(explain_failure(name, revision, err)) from err
    return open_bundle(folder), commit


def _read_text(path: Path) -> str:
    """ "" of what is no text, or too long for a manifest."""
    with path.open("rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    return "" if len(data) > MAX_TEXT_BYTES else data.decode("utf-8", errors="replace")
