"""The folder of a bundle behind a URI: its manifest, and the files that it names, no more."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pegasus_ray.import_ray import import_fsspec
from pegasus_runtime.bundle import MANIFEST_NAME, FileRecord
from pegasus_runtime.bundle.json_node import MAX_TEXT_BYTES
from pegasus_runtime.errors import BundleError, OptionsError

__all__ = ["RemoteFolder"]

_CHUNK_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
"""Of a file: nothing that a server or a file system could read otherwise, and no `..`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFolder:
    """A file system of fsspec's, and a path in it."""

    shown: str
    """The URI without user and password."""
    uri: str = field(repr=False)
    path: str = field(repr=False)
    system: Any = field(repr=False)

    @classmethod
    def open(cls, uri: str, options: Mapping[str, object]) -> RemoteFolder:
        """Raises: OptionsError for a URI with a query; BundleError where fsspec knows no such."""
        shown = _without_secrets(uri)
        if "?" in uri or "#" in uri:
            raise OptionsError(
                f"{shown}: a URI with a query or a fragment is of no folder: give what it says as "
                "storage_options"
            )
        core = import_fsspec()
        # A library of a file system may be missing, and each has errors of its own.
        try:
            system, path = core.url_to_fs(uri.rstrip("/"), **options)
        except Exception as err:
            raise BundleError(
                f"{shown}: cannot be opened ({_told(err, uri, shown)}): install what fsspec needs "
                "for it, or give a folder"
            ) from None  # which may name user and password
        return cls(shown=shown, uri=uri, path=str(path).rstrip("/"), system=system)

    def read_manifest(self) -> tuple[str, str]:
        """Its text, and the SHA-256 of that. Raises: BundleError."""
        with self._telling(MANIFEST_NAME), self._open(MANIFEST_NAME) as file:
            data = b""
            while chunk := file.read(MAX_TEXT_BYTES + 1 - len(data)):  # as it comes
                data += chunk
        if len(data) > MAX_TEXT_BYTES:
            raise BundleError(
                f"{self.shown}/{MANIFEST_NAME}: has more than {MAX_TEXT_BYTES} bytes: not a bundle"
            )
        try:
            return data.decode("utf-8"), hashlib.sha256(data).hexdigest()
        except UnicodeDecodeError as err:
            raise BundleError(f"{self.shown}/{MANIFEST_NAME}: not UTF-8: not a bundle") from err

    def copy(self, name: str, record: FileRecord, target: Path) -> None:
        """One file to where there is none; what is longer than its record says is not read on.

        Raises: BundleError if it is not what the record says, or cannot be had.
        """
        if not _NAME.fullmatch(name):
            raise BundleError(
                f"{self.shown}: its manifest names a file {name!r:.80}, expected letters, digits, "
                "dots, dashes and underscores: copy the bundle to the nodes, and give its folder"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, rest = hashlib.sha256(), record.bytes
        with (
            self._telling(name),
            self._open(name) as file,
            target.open("xb") as copied,
        ):
            while chunk := file.read(min(_CHUNK_BYTES, rest + 1)):
                rest -= len(chunk)
                if rest < 0:
                    break
                digest.update(chunk)
                copied.write(chunk)
        if rest != 0 or digest.hexdigest() != record.sha256:
            size = f"more than {record.bytes}" if rest < 0 else record.bytes - rest
            raise BundleError(
                f"{self.shown}/{name}: has {size} bytes, and is not the file of {record.bytes} "
                "bytes that the manifest means: it was altered, or copied in part; copy the bundle "
                "there again"
            )

    def _open(self, name: str) -> IO[bytes]:
        opened: IO[bytes] = self.system.open(f"{self.path}/{name}", "rb")
        return opened

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Raises: BundleError for what a file system raises; each has errors of its own."""
        try:
            yield
        except Exception as err:
            raise BundleError(
                f"{self.shown}/{name}: cannot be fetched ({_told(err, self.uri, self.shown)}): "
                "check the address, the connection, and the space on this disk"
            ) from None  # which may name user and password


def _told(err: Exception, uri: str, shown: str) -> str:
    """One line of it, without what the URI keeps secret."""
    reason = next(iter(str(err).splitlines()), "").replace(uri.rstrip("/"), shown)
    user, _, _ = urlsplit(uri).netloc.rpartition("@")
    if user:
        reason = reason.replace(user, "…")
    return f"{type(err).__name__}: {reason}"


def _without_secrets(uri: str) -> str:
    """No user, no password, no query."""
    scheme, separator, rest = re.split(r"[?#]", uri.rstrip("/"))[0].rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"
