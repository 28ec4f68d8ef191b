"""A bundle uploaded to the Hugging Face hub, with a card that says what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pegasus_export.clients.card import CARD, model_card
from pegasus_export.errors import OutputError, UnsupportedError
from pegasus_runtime.bundle import MANIFEST_NAME, dump_manifest, open_bundle
from pegasus_runtime.hub.address import HUB_NAME
from pegasus_runtime.hub.client import explain_failure, import_hub

__all__ = ["check_push", "push_bundle"]


def check_push(repo_id: str) -> None:
    """Whether that can be a repository; before the work and not after. Raises: UnsupportedError."""
    if not HUB_NAME.fullmatch(repo_id):
        raise UnsupportedError(
            f"--push is {repo_id!r}, expected a repository of the hub, such as me/xsum-int8"
        )


def push_bundle(folder: Path, repo_id: str, *, private: bool = False) -> str:
    """Uploads a bundle in one commit, all of it or nothing; the address of the repository.

    The repository is made if there is none. A card that it has already stays as it is, and the
    manifest there lists none: people write into it.
    private: of a repository that is made now. Raises: UnsupportedError, OutputError, BundleError.
    """
    check_push(repo_id)
    bundle = open_bundle(folder, check_hashes=True)
    hub = import_hub()
    api = hub.HfApi()
    files = {name: each for name, each in bundle.manifest.files.items() if name != CARD}
    manifest = dataclasses.replace(bundle.manifest, files=files)
    text = dump_manifest(manifest) if CARD in bundle.manifest.files else None
    try:
        url = api.create_repo(repo_id, private=private or None, exist_ok=True)
        add = hub.CommitOperationAdd
        contents: dict[str, bytes | Path] = {name: bundle.folder / name for name in files}
        contents[MANIFEST_NAME] = bundle.folder / MANIFEST_NAME if text is None else text.encode()
        if not api.file_exists(repo_id, CARD):
            contents[CARD] = model_card(manifest, repo_id).encode()
        operations = [
            add(path_in_repo=name, path_or_fileobj=content) for name, content in contents.items()
        ]
        what = f"{bundle.manifest.task}, {bundle.manifest.target}, {bundle.manifest.precision}"
        api.create_commit(repo_id, operations, commit_message=f"A bundle of pegasus-edge: {what}")
    # The HTTP library under huggingface_hub changes between its versions, its errors with it.
    except Exception as err:
        raise OutputError(_explain(repo_id, err)) from err
    return str(url)


def _explain(repo_id: str, err: Exception) -> str:
    status = getattr(getattr(err, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{repo_id} cannot be written (status {status}): run `hf auth login` with a token that "
            "may write, and check the name; the bundle is complete"
        )
    reason = explain_failure(repo_id, None, err).replace("downloaded", "uploaded")
    return f"{reason}; the bundle is complete"
