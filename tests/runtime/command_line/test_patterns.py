"""*.txt where no shell expands it: the files' names, and what is no pattern of any stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from pegasus_runtime.command_line.patterns import expand_patterns

FILES = ("a.txt", "b.txt", "c.md", "notes [1].txt")


@pytest.mark.parametrize(
    ("arguments", "expanded"),
    [
        (["bundle", "*.txt"], ["bundle", "a.txt", "b.txt", "notes [1].txt"]),
        (["?.txt", "c.md"], ["a.txt", "b.txt", "c.md"]),
        (["notes [1].txt", "notes [[]1].txt"], ["notes [1].txt", "notes [[]1].txt"]),
        (["notes [1].*"], ["notes [1].txt"]),
        (["*.pdf", "Who was hurt?", "2 * 3"], ["*.pdf", "Who was hurt?", "2 * 3"]),
        (["--output=*.md", "-"], ["--output=*.md", "-"]),
    ],
)
def test_patterns_become_names(
    arguments: list[str], expanded: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert expand_patterns(arguments) == expanded
