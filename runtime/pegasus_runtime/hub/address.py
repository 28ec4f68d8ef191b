"""What the name of a model says: a path here, or a repository of the hub."""

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["HUB_NAME", "looks_like_path", "read_address"]

HUB_NAME: Final = re.compile(
    r"(?!.*(?:--|\.\.))\w(?:[\w.-]{0,94}\w)?/\w(?:[\w.-]{0,94}\w)?(?<!\.git)", re.ASCII
)
"""owner/name, as a hub takes it: huggingface_hub's `validate_repo_id`. So no two share a place."""

_HUB_HOSTS: Final = ("huggingface.co", "hf.co", "www.huggingface.co")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")
_PAGES: Final = ("tree", "blob", "resolve", "commit", "raw")  # in a repository, of a revision
_OTHER_REPOSITORIES: Final = ("datasets", "spaces", "collections", "papers", "docs", "models")


def read_address(model: str) -> tuple[str, str | None]:
    """Id and revision of https://huggingface.co/google/pegasus-xsum/tree/main; "" of no address.

    So of hf://google/pegasus-xsum, and of HF_ENDPOINT's host. Raises: ValueError, which says what
    to give instead of an address that is no model's.
    """
    has_scheme = _SCHEME.match(model) is not None
    if not has_scheme and model.split("/")[0].lower() not in _hub_hosts():
        return "", None
    scheme, host, path = _split(model if has_scheme else f"https://{model}")
    if scheme == "hf":
        path = f"{host}{path}"
    elif host.lower() not in _hub_hosts():
        raise ValueError(
            f"{model} is an address that is no model's on the hub, expected a folder or a hub id: "
            "download the checkpoint and give its folder"
        )
    names = [unquote(name) for name in path.split("/") if name]
    revision = names[3] if len(names) > 3 and names[2] in _PAGES else None
    if scheme == "hf" and len(names) > 1 and "@" in names[1]:  # as huggingface_hub writes it
        names[1], revision = names[1].split("@", 1)
    name = "/".join(names[:2])
    if not HUB_NAME.fullmatch(name) or names[0] in _OTHER_REPOSITORIES:
        raise ValueError(
            f"{model} is not the address of a model, expected one such as "
            "https://huggingface.co/google/pegasus-xsum: give that, or its id"
        )
    return name, revision


def looks_like_path(model: str) -> bool:
    """Whether no repository is called so, even if there is no such folder."""
    return (
        os.path.isabs(model)
        or model.startswith((".", "~"))
        or model.count("/") > 1
        or "\\" in model
    )


def _split(address: str) -> tuple[str, str, str]:
    """Scheme, host and path; no host of what is none."""
    try:
        parts = urlsplit(address)
    except ValueError:  # [ without ], or letters that only look like / or #
        return "", "", ""
    return parts.scheme, parts.netloc, parts.path


def _hub_hosts() -> set[str]:
    own = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower()
    return {*_HUB_HOSTS, own} if own else {*_HUB_HOSTS}
