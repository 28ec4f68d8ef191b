"""A folder here or a repository of the hub: which of them somebody means who names a model."""

import os
from dataclasses import dataclass
from pathlib import Path

from pegasus_export.checkpoint.recognise import describe_file
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_runtime.hub.address import looks_like_path, read_address
from pegasus_runtime.spelling import find_nearest

__all__ = ["Location", "locate_model", "suggest_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A folder here, or the id of a repository and a revision in it."""

    folder: Path | None = None
    repo_id: str = ""
    revision: str | None = None


def locate_model(model: str, revision: str | None = None) -> Location:
    """A folder if it exists, is absolute, starts with "." or "~", or has more than one "/".

    The address of a repository on the hub is taken for its id. Raises: CheckpointError,
    UnsupportedError.
    """
    if not model:
        raise CheckpointError("the model is '', expected a checkpoint folder or a hub id: name one")
    folder = Path(os.path.expanduser(model))
    if not os.path.exists(folder):
        repo_id, of_address = _read_address(model)
        if repo_id:
            if revision and of_address and revision != of_address:
                raise UnsupportedError(
                    f"{model} names revision {of_address}, got --revision {revision}: give one"
                )
            return Location(repo_id=repo_id, revision=revision or of_address)
        if not looks_like_path(model):
            return Location(repo_id=model, revision=revision)
    _check_folder(model, folder)
    if revision is not None:
        raise UnsupportedError(
            f"{model} is a local folder, got revision {revision}: leave the revision out"
        )
    return Location(folder=folder)


def _read_address(model: str) -> tuple[str, str | None]:
    """Raises: UnsupportedError."""
    try:
        return read_address(model)
    except ValueError as err:
        raise UnsupportedError(str(err)) from err


def _check_folder(model: str, folder: Path) -> None:
    """Raises: CheckpointError, if it is not a folder that can be listed."""
    try:
        model.encode()
    except UnicodeEncodeError as err:
        raise CheckpointError(
            f"{model} is not UTF-8, which the libraries that read weights need: rename the folder"
        ) from err
    if not os.path.exists(folder):
        raise CheckpointError(
            f"{model} {_explain_missing(model, folder)}, expected a checkpoint folder: check the "
            f"path{suggest_folder(folder)}"
        )
    if not os.path.isdir(folder):
        raise CheckpointError(f"{model} {describe_file(folder)}")
    try:
        with os.scandir(folder) as entries:
            first = next(entries, None)
            if first is not None:
                first.stat()
    except FileNotFoundError:
        pass  # a link to nowhere, which says nothing of the folder
    except OSError as err:
        raise CheckpointError(
            f"{model} cannot be read ({err.strerror}): check who may read the folder"
        ) from err


def _explain_missing(model: str, folder: Path) -> str:
    if os.path.islink(folder):
        return f"is a link to {os.readlink(folder)}, which does not exist"
    if "\\" in model and os.sep == "/":
        return "is a path of Windows, which does not exist here"
    return "does not exist"


def suggest_folder(folder: Path) -> str:
    """`: did you mean …?` of a folder beside it that is spelled alike; "" if there is none."""
    if "\\" in str(folder):
        turned = Path(str(folder).replace("\\", "/"))
        return f": did you mean {turned}?" if turned.is_dir() else ""
    try:
        siblings = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    except OSError:
        return ""
    nearest = find_nearest(folder.name, siblings)
    return f": did you mean {folder.parent / nearest[0]}?" if nearest else ""
