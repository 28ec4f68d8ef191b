"""Where a bundle is, said so that every node understands it, and which bundle it has to be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from pegasus_ray.remote_folder import RemoteFolder
from pegasus_runtime.bundle import MANIFEST_NAME, Manifest, open_bundle, parse_manifest
from pegasus_runtime.errors import BundleError, OptionsError
from pegasus_runtime.hub.address import HUB_NAME, looks_like_path, read_address

__all__ = ["BundleSource", "StorageOptions", "find_source", "is_uri"]

StorageOptions = Mapping[str, object]
"""What fsspec opens a file system with, such as {"anon": True}."""

_SHA256 = re.compile("[0-9a-f]{64}")
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSource:
    """What travels to the nodes."""

    place: Path | str
    """A Path: a folder that every node has. A text: a URI, or a name of a hub."""
    is_uri: bool
    manifest_sha256: str | None
    """Of the one bundle that is wanted; None for a name of a hub, which each node looks up."""
    storage_options: StorageOptions = field(default_factory=dict, repr=False)
    """These may hold secrets."""


def find_source(
    bundle: Path | str,
    *,
    manifest_sha256: str | None = None,
    storage_options: StorageOptions | None = None,
) -> tuple[BundleSource, Manifest | None]:
    """What a driver says to its nodes, and the manifest where the driver can read it.

    bundle: a folder, a URI of fsspec's, or a name of a hub. manifest_sha256: known from elsewhere;
    None: that of the bundle as the driver sees it.
    Raises: BundleError for what is no bundle, is another one, or cannot be read here while no
    SHA-256 is given; OptionsError.
    """
    sha256 = _checked_sha256(manifest_sha256)
    options = dict(storage_options or {})
    if is_uri(bundle):
        if sha256 is None:
            sha256, manifest = _read_manifest(RemoteFolder.open(bundle, options))
        else:
            manifest = None  # of the one that is known, so nothing need be asked here
        source = BundleSource(
            place=bundle, is_uri=True, manifest_sha256=sha256, storage_options=options
        )
        return source, manifest
    if options:
        raise OptionsError(
            f"storage_options are for a URI, {bundle} is none: leave them out, or give one such as "
            "s3://bucket/bundle"
        )
    if isinstance(bundle, str) and _is_hub_name(bundle):
        return BundleSource(place=bundle, is_uri=False, manifest_sha256=sha256), None
    folder = Path(os.path.abspath(bundle))
    if sha256 is not None and not folder.exists():
        return BundleSource(place=folder, is_uri=False, manifest_sha256=sha256), None
    if not folder.exists():
        raise BundleError(
            f"{folder}: not a folder of this computer: make the bundle there, or give its "
            "manifest_sha256 if the nodes have it"
        )
    opened = open_bundle(folder)
    if sha256 not in (None, opened.manifest_sha256):
        raise BundleError(
            f"{folder / MANIFEST_NAME}: its SHA-256 is {opened.manifest_sha256}, expected "
            f"{sha256}: not the bundle that was asked for"
        )
    source = BundleSource(place=folder, is_uri=False, manifest_sha256=opened.manifest_sha256)
    return source, opened.manifest


def _checked_sha256(given: str | None) -> str | None:
    sha256 = given.lower() if isinstance(given, str) else given
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise OptionsError(
            f"manifest_sha256 is {given!r:.80}, expected 64 hexadecimal digits: give what "
            f"sha256sum says of the bundle's {MANIFEST_NAME}"
        )
    return sha256


def is_uri(bundle: Path | str) -> TypeGuard[str]:
    """Of fsspec's; an address of the hub is a name."""
    if not isinstance(bundle, str) or _HAS_SCHEME.match(bundle) is None:
        return False
    try:
        return not read_address(bundle)[0]
    except ValueError:  # an address, and of no model of the hub
        return True


def _is_hub_name(bundle: str) -> bool:
    if _HAS_SCHEME.match(bundle) is not None:
        return True
    is_name = HUB_NAME.fullmatch(bundle) is not None and not looks_like_path(bundle)
    return is_name and not os.path.lexists(bundle.split("/")[0])


def _read_manifest(folder: RemoteFolder) -> tuple[str, Manifest]:
    text, sha256 = folder.read_manifest()
    return sha256, parse_manifest(text)
