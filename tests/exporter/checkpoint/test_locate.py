"""A model's name: a folder here, a hub id, or an address that is one."""

import os
import shutil
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.checkpoint.locate import Location, locate_model, suggest_folder
from pegasus_export.errors import CheckpointError, UnsupportedError

XSUM = "google/pegasus-xsum"


@pytest.mark.parametrize(
    ("address", "revision"),
    [
        ("https://huggingface.co/google/pegasus-xsum", None),
        ("https://huggingface.co/google/pegasus-xsum/", None),
        ("http://huggingface.co/google/pegasus-xsum?library=transformers#usage", None),
        ("https://huggingface.co/google/pegasus-xsum/tree/main", "main"),
        ("https://huggingface.co/google/pegasus-xsum/blob/v2/config.json", "v2"),
        ("https://huggingface.co/google/pegasus-xsum/tree/refs%2Fpr%2F4", "refs/pr/4"),
        ("huggingface.co/google/pegasus-xsum", None),
        ("https://hf.co/google/pegasus-xsum", None),
        ("hf://google/pegasus-xsum", None),
        ("hf://google/pegasus-xsum@v1", "v1"),
        ("https://hub.example/google/pegasus-xsum", None),
    ],
)
def test_the_address_of_a_repository_is_its_id(
    address: str, revision: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    assert locate_model(address) == Location(repo_id=XSUM, revision=revision)
    assert locate_model(address, revision or "v3").revision == revision or "v3"


def test_a_revision_is_given_once() -> None:
    with pytest.raises(UnsupportedError, match="names revision main, got --revision v2: give one"):
        locate_model(f"https://huggingface.co/{XSUM}/tree/main", "v2")


@pytest.mark.parametrize(
    "address",
    [
        "https://huggingface.co/datasets/xsum",
        "https://huggingface.co/",
        "hf.co/spaces/a/b",
        "hf://a%2Fb/c",
        "hf://a%00b/c",
        "hf://a--b/c",
        "https://hf.co/a/..",
    ],
)
def test_an_address_on_the_hub_that_is_no_models_is_refused(address: str) -> None:
    with pytest.raises(UnsupportedError, match="is not the address of a model, expected one such"):
        locate_model(address)


@pytest.mark.parametrize("address", ["https://example.com/a.zip", "s3://a/b", "https://[a"])
def test_another_address_is_to_be_downloaded(address: str) -> None:
    with pytest.raises(UnsupportedError, match="is an address that is no model's on the hub, exp"):
        locate_model(address)


def test_a_misspelled_folder_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "pegasus-tuned").mkdir()
    with pytest.raises(
        CheckpointError, match=rf"check the path: did you mean {tmp_path}/pegasus-tuned\?$"
    ):
        locate_model(f"{tmp_path}/pegasus-tunde")
    assert suggest_folder(tmp_path / "zzz") == ""
    assert suggest_folder(tmp_path / "none" / "pegasus-tuned") == ""


def test_a_path_of_windows_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out" / "tuned").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a path of Windows, which .*mean out/tuned\?$"):
        locate_model("out\\tuned")
    with pytest.raises(CheckpointError, match=r"is a path of Windows, which .*check the path$"):
        locate_model("C:\\models\\tuned")


def test_a_link_to_nowhere_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/mnt/disk/tuned")
    with pytest.raises(CheckpointError, match="is a link to /mnt/disk/tuned, which does not exist"):
        locate_model(str(tmp_path / "model"))


def test_a_path_that_is_not_utf8_is_to_be_renamed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    shutil.copytree(os.fsencode(write_tiny_checkpoint(tmp_path / "tiny")), path)
    with pytest.raises(CheckpointError, match=r"is not UTF-8, which the libraries .* need: rename"):
        open_checkpoint(os.fsdecode(path))
