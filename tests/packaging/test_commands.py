"""What all commands of pyproject.toml have in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib

import pegasus_engines
import pegasus_export
import pegasus_runtime

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))[
    "project"
]["scripts"]
Captured = pytest.CaptureFixture[str]


MODULES = {
    "pegasus-export": "pegasus_export.command.main",
    "pegasus-build": "pegasus_engines.command.build",
    "pegasus-summarize": "pegasus_runtime.commands.summarize",
    "pegasus-classify": "pegasus_runtime.commands.classify",
    "pegasus-answer": "pegasus_runtime.commands.answer",
}


def find_main(command: str) -> Callable[[list[str]], int]:
    """What the script runs, in this process."""
    main: Callable[[list[str]], int] = importlib.import_module(MODULES[command]).main
    return main


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_command_tells_its_version(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        find_main(command)(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr() == (f"{command} {pegasus_runtime.__version__}\n", "")


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_command_says_which_option_was_meant(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        find_main(command)(["--verson"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{command}: error: ")
    assert error.endswith(f" see {command} --help\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_command_prints_the_script_that_completes_it(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        find_main(command)(["--print-completion", "bash"])
    assert caught.value.code == 0
    printed, error = capsys.readouterr()
    assert printed.rstrip().endswith(f" {command}")
    assert error == ""


def test_the_packages_are_of_one_version() -> None:
    assert pegasus_runtime.__version__ == pegasus_export.__version__ == pegasus_engines.__version__
