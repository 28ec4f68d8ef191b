"""The page: the files of the folder `page`, as they are answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

__all__ = ["INDEX", "PageFile", "read_page"]

INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """One file, in memory."""

    content: bytes
    media_type: str
    etag: str


def read_page() -> dict[str, PageFile]:
    """Name -> file, of all that a browser may ask for: nothing else of the disk is ever read."""
    files = {}
    for entry in resources.files("pegasus_serve").joinpath("page").iterdir():
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None and entry.is_file():
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            files[entry.name] = PageFile(content=content, media_type=media_type, etag=etag)
    return files
