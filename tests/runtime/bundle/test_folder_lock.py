"""Locks where folders cannot be opened: on a file beside, which goes with its holder."""

from __future__ import annotations

from pathlib import Path

import pytest

from as_windows import act_as_windows
from pegasus_runtime.bundle.folder_lock import hold_alone
from pegasus_runtime.bundle.leftovers import clear_leftovers, sibling_of


@pytest.fixture(autouse=True)
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    act_as_windows(monkeypatch)


def test_one_holds_a_folder_and_the_next_when_it_is_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with hold_alone(folder) as first, hold_alone(folder) as second:
        assert (first, second) == (True, False)
    with hold_alone(folder, timeout_s=1.0) as third:
        assert third
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_made_nobody_can_tell(tmp_path: Path) -> None:
    with hold_alone(tmp_path / "missing" / "bundle") as is_held:
        assert is_held is None


def test_what_a_killed_export_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    dead, alive = (sibling_of(output, "partial") for _ in range(2))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "weights.bin").write_bytes(b"weights")
    dead.with_name(f"{dead.name}.lock").touch()  # nobody has it locked
    with hold_alone(alive):
        clear_leftovers(output)
        assert {path.name for path in tmp_path.iterdir()} == {alive.name, f"{alive.name}.lock"}
    clear_leftovers(output)
    assert list(tmp_path.iterdir()) == []


def test_what_was_replaced_midway_comes_back(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    aside = sibling_of(output, "replaced")
    aside.mkdir()
    with hold_alone(aside):
        clear_leftovers(output)
        assert not output.exists()
    clear_leftovers(output)
    assert output.is_dir()
