"""A bundle on disk: opened, and checked against its manifest.

A manifest names files of its own folder only: no absolute path, no `..`. A link in the folder is
its owner's, as in a hub's cache, where every file is a link into blobs/: it is followed, and what
it leads to has the size, and if asked the SHA-256, that the manifest says.
"""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pegasus_runtime.bundle.json_node import MAX_TEXT_BYTES
from pegasus_runtime.bundle.manifest import Manifest
from pegasus_runtime.bundle.manifest_json import parse_manifest
from pegasus_runtime.errors import BundleError

__all__ = ["MANIFEST_NAME", "Bundle", "check_needed_files", "open_bundle", "sha256_of_file"]

MANIFEST_NAME = "manifest.json"
CHUNK_BYTES = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle: its folder and its manifest.

    place: the path by which its files are reached, where that is another one (`held_folder.py`).
    manifest_sha256: of the manifest as it was read; None of what was
    not read.
    """

    folder: Path
    manifest: Manifest
    place: Path | None = None
    manifest_sha256: str | None = field(default=None, compare=False)

    def path(self, name: str) -> Path:
        """The path by which to open one file of the manifest; it may be a link.

        ONNX Runtime looks for a graph's weights beside this path, so it is not resolved.
        Raises: BundleError if the manifest does not list it, or if it is missing or not a regular
        file.
        """
        if name not in self.manifest.files:
            raise BundleError(
                f"{self.folder}: {name!r} is not listed in {MANIFEST_NAME}: "
                "export the checkpoint again"
            )
        return _regular_file(self.place or self.folder, name)[0]


def open_bundle(
    folder: Path | str,
    *,
    check_hashes: bool = False,
    manifest_sha256: str | None = None,
    place: Path | None = None,
) -> Bundle:
    """Open a bundle, checking its manifest, and that each file is there with its size.

    check_hashes: also read every file and compare its SHA-256 (about a second per GB).
    manifest_sha256: the manifest's own, which the caller knows; hashes are then checked too.
    place: the path by which the folder's files are reached, while it is held.
    Raises: BundleError.
    """
    folder = Path(folder)
    text = _read_manifest(folder, place or folder)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if manifest_sha256 is not None and digest != manifest_sha256.lower():
        raise BundleError(
            f"{folder / MANIFEST_NAME}: its SHA-256 is {digest}, expected {manifest_sha256}: not "
            "the bundle that was asked for"
        )
    manifest = parse_manifest(text)
    check_needed_files(manifest)
    for name, record in manifest.files.items():
        path, size = _regular_file(place or folder, name)
        if size != record.bytes:
            raise BundleError(
                f"{path}: has {size} bytes, expected {record.bytes}: "
                "copy the bundle again, or export again"
            )
        is_checked = check_hashes or manifest_sha256 is not None
        if is_checked and _checked_hash(path) != record.sha256:
            raise BundleError(
                f"{path}: its SHA-256 differs from the manifest's, the file was altered: "
                "copy the bundle again, or export again"
            )
    return Bundle(folder=folder.resolve(), manifest=manifest, place=place, manifest_sha256=digest)


def check_needed_files(manifest: Manifest) -> None:
    """Check that the manifest lists all graphs, tokenizer and kernels among its files.

    Raises: BundleError.
    """
    needed = {f"graphs.{name}.file": graph.file for name, graph in manifest.graphs.items()}
    if manifest.tokenizer is not None:
        needed["tokenizer.file"] = manifest.tokenizer.file
        if manifest.tokenizer.dictionary is not None:
            needed["tokenizer.dictionary"] = manifest.tokenizer.dictionary
    if manifest.plans is not None and manifest.plans.plugin is not None:
        needed["plans.plugin.kernels"] = manifest.plans.plugin.kernels
    for place, name in needed.items():
        if name not in manifest.files:
            raise BundleError(
                f"{MANIFEST_NAME}: {place}: {name!r} is not listed in files: "
                "export the checkpoint again"
            )


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 lowercase hex digits; read in constant memory."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def _checked_hash(path: Path) -> str:
    try:
        return sha256_of_file(path)
    except OSError as err:
        raise BundleError(f"{path}: cannot be read: {err.strerror}: check the disk") from err


def _read_manifest(folder: Path, place: Path) -> str:
    if not folder.is_dir():
        raise BundleError(f"not a bundle: {folder} is not a folder; export one with pegasus-export")
    if not (place / MANIFEST_NAME).exists():
        raise BundleError(
            f"not a bundle: {folder} has no {MANIFEST_NAME}; export one with pegasus-export"
        )
    path, size = _regular_file(place, MANIFEST_NAME)
    if size > MAX_TEXT_BYTES:
        raise BundleError(
            f"{path}: has {size} bytes, expected at most {MAX_TEXT_BYTES}: "
            "export the checkpoint again"
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as err:
        raise BundleError(f"{path}: not UTF-8: export the checkpoint again") from err
    except OSError as err:
        raise BundleError(f"{path}: cannot be read: {err.strerror}") from err


def _regular_file(folder: Path, name: str) -> tuple[Path, int]:
    """The path of `name` in `folder`, which the manifest's check keeps there, and its bytes."""
    path = folder / name
    try:
        status = path.stat()
    except (OSError, ValueError) as err:  # a loop of links among them
        raise BundleError(
            f"{path}: missing or unreadable: copy the bundle again, or export again"
        ) from err
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: not a regular file: export the checkpoint again")
    return path, status.st_size
