"""A folder that another takes the name of, while it is read."""

import itertools
import os
import threading
from pathlib import Path

import pytest

from pegasus_runtime.bundle import held_folder, read_held
from pegasus_runtime.bundle.replace_folder import exchange_folders
from pegasus_runtime.errors import BundleError

FILES = [f"{number}.txt" for number in range(20)]


def write(folder: Path, text: str) -> Path:
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(text)
    return folder


def read_all(place: Path) -> set[str]:
    try:
        return {(place / name).read_text() for name in FILES}
    except OSError as err:
        raise BundleError(f"{place}: missing: copy it again") from err


@pytest.fixture(params=["held", "by name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Linux, and systems where a folder can be reached by its name only."""
    if request.param == "by name":
        monkeypatch.setattr(held_folder.os.path, "samestat", lambda one, other: False)
    elif not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    return str(request.param)


def test_what_is_read_is_of_one_folder_however_often_it_is_replaced(
    tmp_path: Path, way: str
) -> None:
    folder = write(tmp_path / "bundle", "0")
    if not exchange_folders(folder, write(tmp_path / "other", "1")):
        pytest.skip("the file system cannot exchange folders")
    is_done = threading.Event()

    def replace_on_and_on() -> None:
        """By a new one each time, as exports do: of one that comes back a name does not tell."""
        for number in itertools.count():
            if is_done.wait(0.002):
                return
            exchange_folders(folder, write(tmp_path / f"other.{number}", str(number % 2)))

    thread = threading.Thread(target=replace_on_and_on)
    thread.start()
    try:
        found = [read_held(folder, read_all) for _ in range(50)]
    finally:
        is_done.set()
        thread.join()
    assert {len(each) for each in found} == {1}


def test_a_folder_replaced_midway_is_read_again(tmp_path: Path, way: str) -> None:
    folder, tries = write(tmp_path / "bundle", "old"), itertools.count()

    def read(place: Path) -> set[str]:
        if next(tries) == 0:
            os.rename(folder, tmp_path / "gone")
            for name in FILES:
                (tmp_path / "gone" / name).unlink()
            write(folder, "new")
        return read_all(place)

    assert read_held(folder, read) == {"new"}


def test_the_moment_in_which_there_is_none_is_waited_for(tmp_path: Path, way: str) -> None:
    folder = write(tmp_path / "bundle", "old")
    aside = tmp_path / ".bundle.pegasus-replaced-0123456789abcdef"
    os.rename(folder, aside)
    new = write(tmp_path / "new", "new")
    threading.Timer(0.1, lambda: os.rename(new, folder)).start()
    assert read_held(folder, read_all) == {"new"}


def test_errors_name_the_folder_and_are_not_tried_again(tmp_path: Path, way: str) -> None:
    folder, tries = write(tmp_path / "bundle", "old"), itertools.count()
    (folder / FILES[0]).unlink()

    def read(place: Path) -> set[str]:
        next(tries)
        return read_all(place)

    with pytest.raises(BundleError) as caught:
        read_held(folder, read)
    assert str(caught.value) == f"{folder}: missing: copy it again"
    assert next(tries) == 1
    with pytest.raises(BundleError, match="none: missing"):
        read_held(tmp_path / "none", read)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    folder = write(tmp_path / "bundle", "old")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        read_held(folder, read_all)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_is_always_another_one_is_an_error(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than a result that may be of two."""
    folder, tries = write(tmp_path / "bundle", "0"), itertools.count(1)
    monkeypatch.setattr(held_folder, "_TRIES", 3)
    monkeypatch.setattr(held_folder, "_PAUSE_S", 0.0)

    def read(place: Path) -> None:
        number = next(tries)
        os.rename(folder, tmp_path / f"old{number}")
        write(folder, str(number))
        raise BundleError("missing")

    with pytest.raises(BundleError, match="bundle: is replaced all the time, or an export that"):
        read_held(folder, read)
    assert next(tries) == 4
