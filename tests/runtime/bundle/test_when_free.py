"""What is in use is tried again for a while; whatever else fails, fails at once."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from as_windows import access_denied
from pegasus_runtime.bundle import replace_file
from pegasus_runtime.bundle import when_free as when_free_module
from pegasus_runtime.bundle.when_free import when_free

IN_USE = (5, 32, 33)


class Move:
    """Fails with each of the errors, then works."""

    def __init__(self, *errors: OSError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize("number", IN_USE)
def test_what_a_scanner_looks_into_is_free_in_a_moment(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(when_free_module, "_PAUSE_S", 0.0)
    move = Move(*(access_denied(Path("weights.bin"), number) for _ in range(3)))
    when_free(move)
    assert move.calls == 4


def test_what_stays_in_use_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(when_free_module, "_FOR_S", 0.0)
    move = Move(*(access_denied(Path("bundle"), 32) for _ in range(9)))
    with pytest.raises(PermissionError, match="a program has it open, or a file in it: 'bundle'"):
        when_free(move)
    assert move.calls == 2


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "no"), access_denied(Path("bundle"), 112), OSError(28, "full")],
    ids=["posix", "a full disk of Windows", "full"],
)
def test_other_errors_are_told_at_once(error: OSError) -> None:
    move = Move(error)
    with pytest.raises(type(error), match=error.strerror) as raised:
        when_free(move)
    assert raised.value is error
    assert move.calls == 1


def test_a_file_is_replaced_when_its_reader_has_closed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(when_free_module, "_PAUSE_S", 0.0)
    (tmp_path / "record.json").write_text("old", encoding="utf-8")
    replace, busy = Path.replace, [access_denied(tmp_path, 32)] * 2

    def replace_late(self: Path, target: Path) -> Path:
        if busy:
            raise busy.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_late)
    replace_file(tmp_path / "record.json", b"new")
    assert (tmp_path / "record.json").read_bytes() == b"new"
    assert not busy
