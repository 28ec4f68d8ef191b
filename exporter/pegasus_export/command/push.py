"""A bundle uploaded to the Hugging Face hub, with a card that says what it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pegasus_engines.command.report import format_size
from pegasus_export.errors import OutputError, UnsupportedError
from pegasus_runtime.bundle import MANIFEST_NAME, Manifest, open_bundle
from pegasus_runtime.hub.address import HUB_NAME
from pegasus_runtime.hub.client import explain_failure, import_hub
from pegasus_runtime.version import __version__

__all__ = ["check_push", "model_card", "push_bundle"]

_CARD = "README.md"
_MEASURED = ("error", "tolerance")
_COMMANDS = {
    "summarization": "pegasus-summarize {repo} article.txt",
    "text-classification": "pegasus-classify {repo} article.txt",
    "feature-extraction": "pegasus-features {repo} article.txt --output article.npz",
    "text-generation": 'pegasus-generate {repo} "Once upon a time"',
    "question-answering": 'pegasus-answer {repo} "Who was hurt?" article.txt',
}


def check_push(repo_id: str) -> None:
    """Whether that can be a repository; before the work and not after. Raises: UnsupportedError."""
    if not HUB_NAME.fullmatch(repo_id):
        raise UnsupportedError(
            f"--push is {repo_id!r}, expected a repository of the hub, such as me/xsum-int8"
        )


def push_bundle(folder: Path, repo_id: str, *, private: bool = False) -> str:
    """Uploads a bundle in one commit, all of it or nothing; the address of the repository.

    The repository is made if there is none. A card that it has already stays as it is.
    private: of a repository that is made now. Raises: UnsupportedError, OutputError, BundleError.
    """
    check_push(repo_id)
    bundle = open_bundle(folder, check_hashes=True)
    hub = import_hub()
    api = hub.HfApi()
    names = [MANIFEST_NAME, *bundle.manifest.files]
    try:
        url = api.create_repo(repo_id, private=private or None, exist_ok=True)
        add = hub.CommitOperationAdd
        operations = [
            add(path_in_repo=name, path_or_fileobj=bundle.folder / name) for name in names
        ]
        if not api.file_exists(repo_id, _CARD):
            card = model_card(bundle.manifest, repo_id)
            operations.append(add(path_in_repo=_CARD, path_or_fileobj=card.encode()))
        what = f"{bundle.manifest.task}, {bundle.manifest.target}, {bundle.manifest.precision}"
        api.create_commit(repo_id, operations, commit_message=f"A bundle of pegasus-edge: {what}")
    # The HTTP library under huggingface_hub changes between its versions, its errors with it.
    except Exception as err:
        raise OutputError(_explain(repo_id, err)) from err
    return str(url)


def model_card(manifest: Manifest, repo_id: str) -> str:
    """Markdown, behind the fields that the hub reads."""
    from huggingface_hub import ModelCardData

    source = manifest.source.name
    data = ModelCardData(
        library_name="pegasus-edge",
        pipeline_tag=manifest.task,  # the hub calls them so, too
        base_model=source if HUB_NAME.fullmatch(source) else None,
        tags=["pegasus", "onnx", manifest.target, manifest.precision],
    )
    size = format_size(sum(record.bytes for record in manifest.files.values()))
    made_of = f"`{source}`" if HUB_NAME.fullmatch(source) else "A checkpoint"
    lines = [
        "---",
        data.to_yaml().strip(),
        "---",
        "",
        f"# {repo_id.split('/')[1]}",
        "",
        f"{made_of}, exported by pegasus-edge {__version__} for {manifest.task}: "
        f"target `{manifest.target}`, {manifest.precision}, {size}. It runs without PyTorch.",
        "",
        *_usage(manifest, repo_id),
        *_checks(manifest),
        "## Licence",
        "",
        "That of the checkpoint's weights: add it to this card.",
    ]
    return "\n".join(lines) + "\n"


def _usage(manifest: Manifest, repo_id: str) -> list[str]:
    command = _COMMANDS.get(manifest.task)
    if command is None or manifest.target != "ort":
        return []
    return [
        "## Use",
        "",
        "```console",
        "$ pip install 'pegasus-edge[cpu,hub]'",
        f"$ {command.format(repo=repo_id)}",
        "```",
        "",
    ]


def _checks(manifest: Manifest) -> list[str]:
    """What the export measured, graph by graph."""
    rows = [
        f"| {name} | {figures['error']:.1e} | {figures['tolerance']:.1e} |"
        for name, figures in manifest.verification.items()
        if isinstance(figures, dict) and _are_numbers(figures.get(each) for each in _MEASURED)
    ]
    if not rows:
        return []
    head = ["## Checked against the checkpoint", "", "| graph | largest error | allowed |"]
    return [*head, "|---|---|---|", *rows, ""]


def _are_numbers(values: Iterable[object]) -> bool:
    """The manifest's reader takes anything there."""
    return all(isinstance(value, int | float) for value in values)


def _explain(repo_id: str, err: Exception) -> str:
    status = getattr(getattr(err, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{repo_id} cannot be written (status {status}): run `hf auth login` with a token that "
            "may write, and check the name; the bundle is complete"
        )
    reason = explain_failure(repo_id, None, err).replace("downloaded", "uploaded")
    return f"{reason}; the bundle is complete"
