from __future__ import annotations

import hashlib
import json
import shutil
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pegasus_ray.bundle_source import BundleSource, find_source
from pegasus_ray.fetch_bundle import fetch_bundle
from pegasus_ray.remote_folder import RemoteFolder
from pegasus_runtime.bundle import MANIFEST_NAME, FileRecord, open_bundle
from pegasus_runtime.errors import BundleError, OptionsError
from ray_cluster.bundle_server import serve_folder


@pytest.fixture
def bundle(tiny_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(tiny_bundle(), tmp_path / "bundle"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(folder))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_manifest(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = bundle / MANIFEST_NAME
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def test_a_folder_travels_by_its_path_and_the_hash_of_its_manifest(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.parent)
    source, manifest = find_source("bundle")
    assert source.place == bundle
    assert not source.is_uri
    assert source.manifest_sha256 == sha256(bundle / MANIFEST_NAME)
    assert manifest == open_bundle(bundle).manifest
    assert fetch_bundle(source) == bundle


def test_a_folder_of_the_nodes_alone_needs_a_hash(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a folder of this computer: make the bundle there"):
        find_source(tmp_path / "none")
    source, manifest = find_source(tmp_path / "none", manifest_sha256="A" * 64)
    assert (source.place, source.manifest_sha256) == (tmp_path / "none", "a" * 64)
    assert manifest is None


def test_another_bundle_than_the_one_that_is_wanted_is_refused_on_the_driver(bundle: Path) -> None:
    with pytest.raises(BundleError, match=f"expected {'0' * 64}: not the bundle that was asked"):
        find_source(bundle, manifest_sha256="0" * 64)


@pytest.mark.parametrize("given", ["0" * 63, "x" * 64, b"0" * 64])
def test_a_hash_has_64_digits(bundle: Path, given: Any) -> None:
    with pytest.raises(OptionsError, match=r"manifest_sha256 is .* expected 64 hexadecimal"):
        find_source(bundle, manifest_sha256=given)


def test_a_name_of_the_hub_is_looked_up_on_the_nodes() -> None:
    for name in ("owner/name", "hf://owner/name", "https://huggingface.co/owner/name"):
        source, manifest = find_source(name)
        assert (source.place, source.is_uri, manifest) == (name, False, None)
        assert fetch_bundle(source) == name


def test_storage_options_are_for_uris_and_are_not_shown(bundle: Path) -> None:
    with pytest.raises(OptionsError, match="storage_options are for a URI"):
        find_source(bundle, storage_options={"key": "secret"})
    source, _ = find_source(
        "s3://bucket/bundle", manifest_sha256="0" * 64, storage_options={"key": "secret"}
    )
    assert source.storage_options == {"key": "secret"}
    assert "secret" not in repr(source)


def test_a_bundle_by_uri_is_fetched_once_and_is_the_same(bundle: Path, cache: Path) -> None:
    with serve_folder(bundle.parent) as (address, reads):
        source, manifest = find_source(f"{address}/bundle/")
        assert manifest == open_bundle(bundle).manifest
        first = fetch_bundle(source)
        assert fetch_bundle(source) == first
    assert first == cache / "fetched" / str(source.manifest_sha256)
    assert {x.name for x in Path(first).iterdir()} == {x.name for x in bundle.iterdir()}
    assert all(sha256(Path(first) / x.name) == sha256(x) for x in bundle.iterdir())
    files = {f"/bundle/{x.name}" for x in bundle.iterdir() if x.name != MANIFEST_NAME}
    assert {path: reads[path] for path in files} == dict.fromkeys(files, 1)


def test_a_server_that_streams_gives_files_piece_by_piece(bundle: Path, cache: Path) -> None:
    with serve_folder(bundle.parent, piece_bytes=5000) as (address, _):
        source, manifest = find_source(f"{address}/bundle")
        assert manifest == open_bundle(bundle).manifest
        open_bundle(fetch_bundle(source), check_hashes=True)


def test_actors_that_start_together_fetch_once(bundle: Path, cache: Path) -> None:
    with serve_folder(bundle.parent) as (address, reads):
        source, _ = find_source(f"{address}/bundle")
        threads = [threading.Thread(target=fetch_bundle, args=(source,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert reads["/bundle/weights.bin"] == 1
    open_bundle(cache / "fetched" / str(source.manifest_sha256), check_hashes=True)


def test_what_was_changed_since_the_driver_looked_is_refused(bundle: Path, cache: Path) -> None:
    source, _ = find_source(f"file://{bundle}")
    change_manifest(bundle, lambda fields: fields)
    with pytest.raises(BundleError, match="not the bundle that was asked for"):
        fetch_bundle(source)
    assert not any(x.is_dir() for x in (cache / "fetched").iterdir())


@pytest.mark.parametrize(
    ("change", "size"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), r"has \d+ bytes"),
        (lambda data: data[:-1], r"has \d+ bytes"),
        (lambda data: data + b"x", r"has more than \d+ bytes"),
    ],
)
def test_an_altered_file_is_refused_and_nothing_is_left(
    bundle: Path, cache: Path, change: Callable[[bytes], bytes], size: str
) -> None:
    source, _ = find_source(f"file://{bundle}")
    path = bundle / "weights.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleError, match=f"weights.bin: {size}, and is not the file of"):
        fetch_bundle(source)
    assert not any(x.is_dir() for x in (cache / "fetched").iterdir())


def test_what_a_killed_actor_left_is_cleared_away(bundle: Path, cache: Path) -> None:
    source, _ = find_source(f"file://{bundle}")
    left = cache / "fetched" / f".{source.manifest_sha256}.pegasus-partial-{'0' * 16}"
    left.mkdir(parents=True)
    (left / "weights.bin").write_bytes(b"half")
    fetch_bundle(source)
    assert not left.exists()


def test_no_file_is_fetched_from_outside_of_the_folder(
    bundle: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    record = FileRecord(bytes=1, sha256=hashlib.sha256(b"x").hexdigest())
    remote = RemoteFolder.open(f"file://{bundle}", {})
    for name in ("../secret", "/etc/passwd", "a/../../secret", "%2e%2e/secret", "a?b", ".", "a//b"):
        with pytest.raises(BundleError, match="expected letters, digits, dots"):
            remote.copy(name, record, tmp_path / "copied" / "x")
    assert not (tmp_path / "copied").exists()
    file = {"bytes": 1, "sha256": record.sha256}
    change_manifest(bundle, lambda fields: fields["files"].update({"../secret": file}))
    with pytest.raises(BundleError, match=r"\.\./secret"):
        find_source(f"file://{bundle}")


def test_what_cannot_be_fetched_says_why_without_passwords(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest.json: cannot be fetched \(FileNotFoundError"):
        find_source(f"file://{tmp_path}/none")
    with pytest.raises(BundleError, match=r"nothing://x: cannot be opened .*: install what f"):
        find_source("nothing://x")
    with serve_folder(tmp_path) as (address, _):
        with_user = address.replace("http://", "http://me:hunter2@")
        with pytest.raises(BundleError, match="cannot be fetched") as caught:
            find_source(f"{with_user}/none")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert address in str(caught.value)
    with pytest.raises(OptionsError, match=r"^https://a/b: a URI with a query or a fragment"):
        find_source("https://a/b?token=pass")


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST_NAME
    path.write_bytes(b"\xff")
    with pytest.raises(BundleError, match="not UTF-8: not a bundle"):
        find_source(f"file://{tmp_path}")
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(BundleError, match=r"has more than \d+ bytes: not a bundle"):
        find_source(f"file://{tmp_path}")


def test_a_cache_that_cannot_be_written_names_its_variable(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path / "file"))
    source = BundleSource(place=f"file://{bundle}", is_uri=True, manifest_sha256="0" * 64)
    with pytest.raises(BundleError, match=r"cannot be written .* set PEGASUS_EDGE_CACHE on"):
        fetch_bundle(source)
