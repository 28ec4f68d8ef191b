"""What `make help` and `make clean` promise."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text("utf-8")


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_help_says_what_every_target_does() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in make("help").splitlines()]
    assert sorted(name for name, _ in lines) == sorted(phony.split())


def test_clean_removes_every_environment() -> None:
    removed = make("--dry-run", "clean")
    environments = set(re.findall(r"\.venv[\w-]*", MAKEFILE))
    assert {".venv", ".venv-build", ".venv-optimum"} <= environments
    assert " .venv .venv-* " in removed


def test_git_ignores_every_environment() -> None:
    assert ".venv*" in (REPOSITORY / ".gitignore").read_text("utf-8").splitlines()
