"""What the name of a model says: a path here, or a repository of the hub."""

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["HUB_NAME", "looks_like_path", "read_address"]

HUB_NAME: Final = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
"""owner/name, as a hub takes it."""

_HUB_HOSTS: Final = ("huggingface.co", "hf.co", "www.huggingface.co")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")
_PAGES: Final = ("tree", "blob", "resolve", "commit", "raw")  # in a repository, of a revision
_OTHER_REPOSITORIES: Final = ("datasets", "spaces", "collections", "papers", "docs", "models")


def read_address(model: str) -> tuple[str, str | None]:
    """Id and revision of https://huggingface.co/google/pegasus-xsum/tree/main; "" of no address.

    So of hf://google/pegasus-xsum, and of HF_ENDPOINT's host. Raises: ValueError, which says what
    to give instead of an address that is no model's.
    """
    text = model if _SCHEME.match(model) else f"https://{model}"
    parts = urlsplit(text)
    if parts.scheme == "hf":
        path = f"{parts.netloc}{parts.path}"
    elif parts.netloc.lower() in _hub_hosts():
        path = parts.path
    elif text == model:
        raise ValueError(
            f"{model} is an address that is no model's on the hub, expected a folder or a hub id: "
            "download the checkpoint and give its folder"
        )
    else:
        return "", None
    names = [unquote(name) for name in path.split("/") if name]
    if len(names) < 2 or names[0] in _OTHER_REPOSITORIES:
        raise ValueError(
            f"{model} is not the address of a model, expected one such as "
            "https://huggingface.co/google/pegasus-xsum: give that, or its id"
        )
    revision = names[3] if len(names) > 3 and names[2] in _PAGES else None
    return "/".join(names[:2]), revision


def looks_like_path(model: str) -> bool:
    """Whether no repository is called so, even if there is no such folder."""
    return (
        os.path.isabs(model)
        or model.startswith((".", "~"))
        or model.count("/") > 1
        or "\\" in model
    )


def _hub_hosts() -> set[str]:
    own = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower()
    return {*_HUB_HOSTS, own} if own else {*_HUB_HOSTS}
