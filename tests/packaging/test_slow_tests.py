"""The list of slow tests names what is there, and what is left without them is still a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from slow_tests import SLOW

REPOSITORY = Path(__file__).resolve().parents[2]


def is_there(begin: str) -> bool:
    file, _, name = begin.partition("::")
    path = REPOSITORY / file
    return path.is_file() and f"def {name or 'test_'}" in path.read_text("utf-8")


def test_every_slow_test_is_there() -> None:
    assert [begin for begin in SLOW if not is_there(begin)] == []


@pytest.mark.parametrize("room", ["engines", "exporter", "plugins", "runtime"])
def test_most_files_of_a_room_stay_without_the_slow_tests(room: str) -> None:
    paths = (REPOSITORY / "tests" / room).rglob("test_*.py")
    files = {path.relative_to(REPOSITORY).as_posix() for path in paths}
    slow = files & set(SLOW)
    assert len(slow) < len(files) / 2, slow
