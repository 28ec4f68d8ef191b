"""What measures the packaged program, on programs that stand in for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from desktop.package import (
    PackageError,
    Size,
    Trial,
    check_trials,
    make_table,
    size_of_folder,
    try_program,
)


def program(code: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; {code}"]


def test_a_trial_is_timed_up_to_ready_and_has_the_summary(tmp_path: Path) -> None:
    code = "print('ready', flush=True); print(sys.argv[-1].rpartition('/')[2])"
    trial = try_program(program(code), tmp_path / "settings.ini")
    assert trial.summary == "strike_627.txt"
    assert 0 < trial.ready_s < 60


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('ready'); print('error: no model'); sys.exit(1)", r"status 1: ready\nerror: no m"),
        ("print('Traceback')", r"status 0: Traceback"),
    ],
)
def test_a_program_that_is_not_ready_or_fails_is_told(
    tmp_path: Path, code: str, message: str
) -> None:
    with pytest.raises(PackageError, match=message):
        try_program(program(code), tmp_path / "settings.ini")


def test_another_summary_than_the_bundles_is_a_failure() -> None:
    trial = Trial(ready_s=1.0, memory=0, cpu_s=1.0, summary="Snow falls.")
    check_trials([trial], "Snow falls.")
    with pytest.raises(PackageError, match=r"wrote 'Snow falls.', expected 'Rain falls.'"):
        check_trials([trial], "Rain falls.")


def test_qts_own_size_stands_apart(tmp_path: Path) -> None:
    for name, size in (("a", 10), ("_internal/b", 20), ("_internal/PySide6/Qt/lib/c", 300)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert size_of_folder(tmp_path) == Size(total=330, qt=300)
    trials = [
        Trial(ready_s=seconds, memory=90_000_000, cpu_s=0.5, summary="")
        for seconds in (3.0, 1.0, 2.0)
    ]
    size = Size(total=100_000_000, qt=40_000_000)
    table = make_table({"one folder": size}, {"one folder": trials})
    assert table.rows == (("one folder", 60.0, 40.0, 100.0, 2.0, 0.5, 90.0),)
