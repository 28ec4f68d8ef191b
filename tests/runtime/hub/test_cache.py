"""Where what was loaded by name lies, and how it goes."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime import BundleError, Summarizer
from pegasus_runtime.hub.cache_folder import cache_folder
from pegasus_runtime.hub.clear_entry import clear_entry, size_of
from pegasus_runtime.hub.entry import Entry, Record, list_records
from pegasus_runtime.hub.find_bundle import find_bundle

ENTRY = Entry(name="a/b", task="summarization", precision="int8")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def record(tiny_bundle: Callable[..., Path], cache: Path) -> Record:
    """Of an export that is there."""
    shutil.copytree(tiny_bundle(), ENTRY.bundle)
    record = Record(
        name="a/b",
        revision=None,
        made="exported",
        task="summarization",
        precision="int8",
        commit=None,
        folder=str(ENTRY.bundle),
    )
    ENTRY.write(record)
    return record


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"PEGASUS_EDGE_CACHE": "/x"}, "/x"),
        ("linux", {"PEGASUS_EDGE_CACHE": "~/x"}, "/home/me/x"),
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/pegasus-edge"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/pegasus-edge"),
        ("linux", {}, "/home/me/.cache/pegasus-edge"),
        ("darwin", {"XDG_CACHE_HOME": "/c"}, "/home/me/Library/Caches/pegasus-edge"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pegasus-edge/Cache"),
    ],
)
def test_every_platform_has_its_folder(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PEGASUS_EDGE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_no_two_entries_share_a_place() -> None:
    entries = [
        Entry(name="a/b"),
        Entry(name="a/b", revision="refs/pr/4"),
        Entry(name="a/b", revision="refs%2Fpr%2F4"),
        ENTRY,
        replace(ENTRY, precision="fp32"),
        replace(ENTRY, task="feature-extraction"),
        replace(ENTRY, revision="v1"),
    ]
    assert len({entry.key for entry in entries}) == len(entries)
    assert all("/" not in entry.key for entry in entries)


def test_what_is_recorded_is_found_without_asking_anybody(record: Record) -> None:
    found = find_bundle("a/b", "summarization", precision="int8")
    assert found == ENTRY.bundle
    assert list_records() == [(ENTRY, record)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\xff",
        '{"name": 1}',
        "[" * 100_000,
        json.dumps(dict.fromkeys(Record.__annotations__, 1)),
        json.dumps(dict.fromkeys(Record.__annotations__, "x")),
    ],
)
def test_a_record_that_is_none_counts_as_missing(record: Record, text: str) -> None:
    path = cache_folder() / "names" / f"{ENTRY.key}.json"
    path.write_text(text, encoding="latin-1")
    assert ENTRY.find() is None
    assert list_records() == []


def _older(manifest: Path) -> None:
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(fields | {"schema_version": 1}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "weights.bin").unlink(),
        lambda folder: (folder / "weights.bin").write_bytes(b"half"),
        lambda folder: _older(folder / "manifest.json"),
    ],
    ids=["no manifest", "no weights", "half of them", "of an older version"],
)
def test_a_bundle_that_this_version_cannot_open_is_made_anew(
    record: Record, damage: Callable[[Path], None]
) -> None:
    damage(ENTRY.bundle)
    assert ENTRY.find() is None


def test_a_cleared_entry_leaves_nothing_while_its_bundle_is_used(
    record: Record, cache: Path
) -> None:
    size = size_of(ENTRY.bundle)
    with Summarizer.load(ENTRY.bundle, provider="cpu") as summarizer:
        assert clear_entry(ENTRY, record) == size > 0
        assert summarizer.summarize("the quick brown fox").text
    assert list_records() == []
    assert os.listdir(cache / "bundles") == []
    assert clear_entry(ENTRY, record) == 0


def test_an_entry_that_is_being_made_is_not_cleared(record: Record) -> None:
    with (
        ENTRY.locked(),
        pytest.raises(BundleError, match="another process is about to make it: try again later"),
    ):
        clear_entry(ENTRY, record)
    assert ENTRY.find() == record


def test_a_cache_that_cannot_be_written_says_which_variable_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path / "file"))
    says = "the cache cannot be written .*: set PEGASUS_EDGE_CACHE to a folder that can"
    with pytest.raises(BundleError, match=says), ENTRY.locked():
        pass
    assert list_records() == []


def test_a_bundle_that_the_cache_takes_no_record_of_is_named(
    record: Record, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    from pegasus_runtime.hub import find_bundle as module

    shutil.rmtree(cache / "names")
    (cache / "names").write_text("")
    with pytest.raises(BundleError, match=r"is complete, but the cache takes no record of it"):
        module._write(ENTRY, record)
