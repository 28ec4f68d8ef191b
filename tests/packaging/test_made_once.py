"""What the processes of a run share: made by the first that asks, and again if that one failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_once import MadeOnce


def test_a_folder_is_written_once_for_all_processes(tmp_path: Path) -> None:
    written = []

    def write(folder: Path) -> None:
        written.append(folder)
        folder.mkdir()

    folders = [MadeOnce(root=tmp_path / "shared").folder("a", write) for _ in range(2)]
    assert folders == [tmp_path / "shared" / "a"] * 2
    assert written == folders[:1]


def test_what_a_failed_process_left_is_removed_first(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        MadeOnce(root=tmp_path).folder("a", fail)
    assert MadeOnce(root=tmp_path).folder("a", Path.mkdir).is_dir()
