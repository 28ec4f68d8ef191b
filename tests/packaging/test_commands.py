"""What all commands of pyproject.toml have in common."""

from __future__ import annotations

import importlib
import subprocess
import sys
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
    "pegasus-edge": "pegasus_runtime.commands.doctor",
    "pegasus-features": "pegasus_runtime.commands.features",
    "pegasus-generate": "pegasus_runtime.commands.generate",
    "pegasus-serve": "pegasus_serve.process.command",
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
def test_a_command_takes_no_abbreviations_of_options(command: str, capsys: Captured) -> None:
    needed = {
        "pegasus-export": [],
        "pegasus-answer": ["bundle", "question"],
        "pegasus-features": ["bundle", "--output", "file"],
        "pegasus-edge": ["doctor"],
    }
    with pytest.raises(SystemExit) as caught:
        find_main(command)([*needed.get(command, ["bundle"]), "--versio"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --versio" in capsys.readouterr().err


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_script_handles_signals_before_it_imports_what_takes_time(command: str) -> None:
    """Of its own, nothing; and of Python's, nothing that is not there already."""
    module = SCRIPTS[command].partition(":")[0]
    script = (
        f"import sys; before = set(sys.modules); import {module};"
        "print(*sys.modules.keys() - before)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert not {name for name in loaded if not name.startswith("pegasus_")}
    assert "pegasus_runtime.command_line.signals" in loaded
    assert len(loaded) < 10


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_script_runs_its_command(command: str) -> None:
    module, _, name = SCRIPTS[command].partition(":")
    script = f"import sys; from {module} import {name}; sys.exit({name}())"
    result = subprocess.run(
        [sys.executable, "-c", script, "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{command} {pegasus_runtime.__version__}\n"


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
