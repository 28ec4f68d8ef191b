"""A bundle on disk is opened only if every file is there, whole, and inside the folder."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime.bundle import (
    Manifest,
    TokenizerSpec,
    WordPieceSpec,
    dump_manifest,
    open_bundle,
)
from pegasus_runtime.bundle.folder import _checked_hash, sha256_of_file
from pegasus_runtime.errors import BundleError

needs_links = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")


def test_a_whole_bundle_opens(
    folder: Path, manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    bundle = open_bundle(folder, check_hashes=True)
    assert bundle.manifest == manifest
    for name, data in contents.items():
        assert bundle.path(name).read_bytes() == data


def test_a_bundle_opened_by_a_relative_path_outlives_a_change_of_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    bundle = open_bundle("bundle")
    monkeypatch.chdir("/")
    assert bundle.path("encoder.onnx").read_bytes() == b"encoder"


@pytest.mark.parametrize("name", ["missing", "a\0b", "file/x"])
def test_what_is_no_folder_is_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    message = "not a bundle: .* is not a folder; export one with pegasus-export"
    with pytest.raises(BundleError, match=message):
        open_bundle(tmp_path / name)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"not a bundle: .* has no manifest.json; export one"):
        open_bundle(tmp_path)


def test_a_manifest_that_is_a_folder_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json: not a regular file"):
        open_bundle(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_a_writer(folder: Path) -> None:
    (folder / "encoder.onnx").unlink()
    os.mkfifo(folder / "encoder.onnx")
    with pytest.raises(BundleError, match=r"encoder\.onnx: not a regular file: export the"):
        open_bundle(folder)


def test_a_manifest_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(BundleError, match=r"manifest\.json: not UTF-8: export the checkpoint"):
        open_bundle(folder)


def test_a_huge_manifest_is_refused_unread(folder: Path) -> None:
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(10**10)
    with pytest.raises(BundleError, match="has 10000000000 bytes, expected at most 16777216"):
        open_bundle(folder)


def test_a_manifest_lost_while_it_is_opened_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BundleError, match=r"manifest\.json: cannot be read: Input/output error"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "weights/model.bin", "spiece.model"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    message = re.escape(f"{name}: missing or unreadable: copy the bundle again, or export again")
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_a_file_of_another_size_is_named(folder: Path) -> None:
    (folder / "weights/model.bin").write_bytes(b"\0" * 999)
    message = r"model\.bin: has 999 bytes, expected 1000: copy the bundle again, or export again"
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_an_altered_file_is_found_when_hashes_are_checked(folder: Path) -> None:
    (folder / "weights/model.bin").write_bytes(b"\1" * 1000)
    open_bundle(folder)
    message = r"model\.bin: its SHA-256 differs from the manifest's, the file was altered"
    with pytest.raises(BundleError, match=message):
        open_bundle(folder, check_hashes=True)


@pytest.mark.parametrize(
    ("name", "field"), [("encoder.onnx", "graphs.encoder"), ("spiece.model", "tokenizer")]
)
def test_graphs_and_tokenizer_must_be_listed_among_the_files(
    folder: Path, manifest: Manifest, name: str, field: str
) -> None:
    files = {key: record for key, record in manifest.files.items() if key != name}
    (folder / "manifest.json").write_text(dump_manifest(replace(manifest, files=files)))
    message = re.escape(f"manifest.json: {field}.file: '{name}' is not listed in files: export")
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_a_dictionary_must_be_listed_among_the_files(folder: Path, manifest: Manifest) -> None:
    spec = TokenizerSpec(
        file="spiece.model", kind="randeng", wordpiece=WordPieceSpec(), dictionary="words"
    )
    (folder / "manifest.json").write_text(dump_manifest(replace(manifest, tokenizer=spec)))
    with pytest.raises(BundleError, match=r"tokenizer\.dictionary: 'words' is not listed in files"):
        open_bundle(folder)


def test_a_bundle_without_a_tokenizer_opens(folder: Path, manifest: Manifest) -> None:
    (folder / "manifest.json").write_text(dump_manifest(replace(manifest, tokenizer=None)))
    assert open_bundle(folder).manifest.tokenizer is None


@pytest.mark.parametrize("name", ["manifest.json", "../other", "/etc/passwd", "nothing"])
def test_only_files_of_the_manifest_have_a_path(folder: Path, name: str) -> None:
    with pytest.raises(BundleError, match=re.escape(f"'{name}' is not listed in manifest.json")):
        open_bundle(folder).path(name)


def hub_snapshot(folder: Path) -> Path:
    """The bundle as a hub's cache lays it out: links by name to files by hash."""
    blobs, snapshot = folder.parent / "blobs", folder.parent / "snapshots" / "main"
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            link = snapshot / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            path.rename(blobs / str(number))
            link.symlink_to(os.path.relpath(blobs / str(number), link.parent))
    return snapshot


@needs_links
@pytest.mark.parametrize("check_hashes", [False, True])
def test_the_links_of_a_hub_s_cache_are_followed(
    folder: Path, contents: Mapping[str, bytes], check_hashes: bool
) -> None:
    snapshot = hub_snapshot(folder)
    bundle = open_bundle(snapshot, check_hashes=check_hashes)
    for name, data in contents.items():
        assert bundle.path(name).read_bytes() == data
        assert bundle.path(name).parent.is_relative_to(snapshot)  # for ONNX Runtime to look there


@needs_links
@pytest.mark.parametrize("name", ["encoder.onnx", "weights"])
def test_a_link_of_the_owner_s_may_lead_out_of_the_folder(folder: Path, name: str) -> None:
    bundle = open_bundle(folder)
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")
    assert open_bundle(folder, check_hashes=True).manifest == bundle.manifest
    assert bundle.path("weights/model.bin").read_bytes() == b"\0" * 1000


@needs_links
def test_what_a_link_leads_to_has_the_size_and_the_hash_of_the_manifest(folder: Path) -> None:
    snapshot = hub_snapshot(folder)
    target = (snapshot / "weights/model.bin").resolve()
    target.write_bytes(b"\1" * 1000)
    with pytest.raises(BundleError, match=r"model\.bin: its SHA-256 differs from the manifest's"):
        open_bundle(snapshot, check_hashes=True)
    target.write_bytes(b"secret")
    with pytest.raises(BundleError, match=r"model\.bin: has 6 bytes, expected 1000"):
        open_bundle(snapshot)


@needs_links
@pytest.mark.parametrize("target", ["nothing", "."])
def test_a_link_to_no_file_is_refused(folder: Path, target: str) -> None:
    (folder / "encoder.onnx").unlink()
    (folder / "encoder.onnx").symlink_to(target)
    with pytest.raises(BundleError, match=r"encoder\.onnx: (missing or unreadable|not a regular)"):
        open_bundle(folder)


@needs_links
@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "weights/../../secret", "C:/secret"])
def test_a_manifest_does_not_name_what_is_outside_whatever_links_there_are(
    folder: Path, name: str
) -> None:
    (folder.parent / "secret").write_bytes(b"pieces")
    text = (folder / "manifest.json").read_text().replace('"spiece.model"', json.dumps(name))
    snapshot = hub_snapshot(folder)
    (snapshot / "manifest.json").resolve().write_text(text)
    with pytest.raises(BundleError, match='expected a relative path with "/", inside the folder'):
        open_bundle(snapshot)


@needs_links
def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "encoder.onnx").unlink()
    (folder / "encoder.onnx").symlink_to("encoder.onnx")
    with pytest.raises(BundleError, match=r"encoder\.onnx: missing or unreadable"):
        open_bundle(folder)


@needs_links
def test_links_within_the_folder_and_to_the_folder_are_followed(folder: Path) -> None:
    (folder / "encoder.onnx").rename(folder / "real.onnx")
    (folder / "encoder.onnx").symlink_to("real.onnx")
    (folder.parent / "link").symlink_to(folder)
    bundle = open_bundle(folder.parent / "link", check_hashes=True)
    assert bundle.path("encoder.onnx").read_bytes() == b"encoder"


def test_unlisted_files_are_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    open_bundle(folder, check_hashes=True)


def test_a_manifest_of_something_else_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"manifest_version": 3, "name": "extension"}))
    with pytest.raises(BundleError, match="missing schema_version: not a bundle of pegasus-edge"):
        open_bundle(folder)


@pytest.mark.parametrize("size", [0, 1, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18])
def test_hashes_are_those_of_the_whole_file(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_file_that_cannot_be_read_is_an_error_when_hashes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot be read: .*: check the disk"):
        _checked_hash(tmp_path)  # a folder cannot be read as a file


def test_a_pinned_manifest_is_the_only_one_and_pins_all_files(folder: Path) -> None:
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert open_bundle(folder, manifest_sha256=digest.upper()) == open_bundle(folder)
    with pytest.raises(BundleError, match=rf"its SHA-256 is {digest}, expected 00: not the bundle"):
        open_bundle(folder, manifest_sha256="00")
    data = bytearray((folder / "encoder.onnx").read_bytes())
    data[0] ^= 1
    (folder / "encoder.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"encoder\.onnx: its SHA-256 differs"):
        open_bundle(folder, manifest_sha256=digest)
