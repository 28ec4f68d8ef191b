"""Consoles of Windows, by stand-ins: escape sequences, and characters that are written in parts."""

from __future__ import annotations

import ctypes
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pegasus_runtime.command_line import streams


class Console:
    """kernel32's three functions; a mode of None: standard error is no console."""

    def __init__(self, mode: int | None, *, has_escapes: bool = True) -> None:
        self.mode = mode
        self.has_escapes = has_escapes

    def GetStdHandle(self, which: int) -> int:  # noqa: N802
        assert which == -12
        return 7

    def GetConsoleMode(self, handle: int, mode: object) -> int:  # noqa: N802
        if self.mode is None:
            return 0
        ctypes.cast(mode, ctypes.POINTER(ctypes.c_uint32))[0] = self.mode  # type: ignore[arg-type]
        return 1

    def SetConsoleMode(self, handle: int, mode: int) -> int:  # noqa: N802
        if self.has_escapes:
            self.mode = mode
        return int(self.has_escapes)


def test_a_console_is_asked_to_read_escape_sequences() -> None:
    console = Console(3)
    assert streams._enable_escapes(lambda: console)
    assert console.mode == 3 | 4


@pytest.mark.parametrize("console", [Console(None), Console(3, has_escapes=False)])
def test_one_that_does_not_gets_none(console: Console) -> None:
    assert not streams._enable_escapes(lambda: console)
    shown = io.BytesIO()
    stream = streams._Forgiving(shown, encoding="utf-8", write_through=True)
    stream.has_escapes = False
    stream.write("\r1 of 3\x1b[K")
    assert shown.getvalue() == b"\r1 of 3"


def test_a_result_goes_to_a_console_as_characters_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bytearray()

    def write(data: memoryview) -> int:
        written.extend(data[:5])
        return min(5, len(data))

    with (tmp_path / "bytes").open("wb") as file:  # what a console would show wrongly
        stdout = SimpleNamespace(
            fileno=file.fileno, flush=lambda: None, buffer=SimpleNamespace(write=write)
        )
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(streams, "_is_console", lambda descriptor: True)
        streams.write_result("Zürich: ▁ …\n")
    assert bytes(written).decode() == "Zürich: ▁ …\n"
    assert (tmp_path / "bytes").read_bytes() == b""
