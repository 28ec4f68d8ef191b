"""A file that is whole at any time."""

import os
from pathlib import Path

import pytest

from pegasus_runtime.bundle import replace_file


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "kernels"
    replace_file(path, b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"theirs")
    (tmp_path / "kernels").symlink_to(tmp_path / "victim")
    replace_file(tmp_path / "kernels", b"mine")
    assert (tmp_path / "victim").read_bytes() == b"theirs"
    assert not (tmp_path / "kernels").is_symlink()
    assert (tmp_path / "kernels").read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="has no named pipes")
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    path = tmp_path / "null"
    os.mkfifo(path)  # a device needs rights
    with pytest.raises(OSError, match="not a regular file"):
        replace_file(path, b"new")
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kernels"
    path.mkdir()
    (path / "full").touch()
    with pytest.raises(OSError, match="kernels"):
        replace_file(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
