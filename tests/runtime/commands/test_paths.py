"""Paths that a system refuses: one line and exit code 2, of every command that reads a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime.commands import answer, classify, summarize

COMMANDS = {"summarize": summarize.main, "classify": classify.main, "answer": answer.main}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x" * 300, "x: File name too long: check the path"),
        ("loop", "loop is not a folder; export one with pegasus-export"),
        ("file/bundle", "bundle is not a folder; export one with pegasus-export"),
    ],
)
def test_a_bundle_that_cannot_be_reached_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str, says: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("a text")
    question = ["a question"] if command == "answer" else []
    main: Callable[[list[str]], int] = COMMANDS[command]
    code = main([str(tmp_path / name), *question, str(tmp_path / "file")])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"pegasus-{command}: error: ")
    assert err.endswith(f"{says}\n")
