"""The scripts that complete a command: run in bash, as a shell does when Tab is pressed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import shtab

from pegasus_runtime.command_line.completion import SHELLS, write_completion
from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.commands.options import make_parser

Captured = pytest.CaptureFixture[str]

# What bash does, by its manual's chapter on programmable completion.
PRESS_TAB = """
source "$1"; function=$2; shift 2
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$function"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser(prog="pegasus-test", usage="%(prog)s", description="d", epilog="e")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--target", metavar="{ort,trt,trt-rtx}")
    parser.add_argument("--provider", choices=("cpu", "cuda"))
    parser.add_argument("--output", metavar="DIR")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--count", type=int, metavar="N")
    return parser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "xsum").mkdir()
    (tmp_path / "xeno.txt").touch()
    return tmp_path


def press_tab(parser: ArgumentParser, folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words, in a folder with a file and a folder."""
    script = folder / "completion.bash"
    script.write_text(write_completion(parser, "bash"))
    function = f"_shtab_{parser.prog.replace('-', '_')}"
    command = ["bash", "-c", PRESS_TAB, "bash", script, function, parser.prog, *words]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert not [line for line in result.stderr.splitlines() if "compopt" not in line]
    return sorted(filter(None, result.stdout.splitlines()))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("--t",), ["--target"]),
        (("--target", ""), ["ort", "trt", "trt-rtx"]),
        (("--target", "t"), ["trt", "trt-rtx"]),
        (("--provider", "c"), ["cpu", "cuda"]),
        (("--output", "x"), ["xsum"]),
        (("--log", "x"), ["xeno.txt", "xsum"]),
        (("--count", ""), []),
        (("x",), ["xsum"]),
        (("xsum", "x"), ["xeno.txt", "xsum"]),
        (("xsum", "xeno.txt", "xe"), ["xeno.txt"]),
        (("--print-completion", ""), sorted(SHELLS)),
    ],
)
def test_tab_completes_options_choices_files_and_folders(
    parser: ArgumentParser, folder: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    assert press_tab(parser, folder, *words) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("--early-s",), ["--early-stopping"]),
        (("--early-stopping", ""), ["false", "never", "true"]),
        (("--provider", ""), ["auto", "cpu", "cuda", "tensorrt"]),
        (("--kernel-cache", "xe"), ["xeno.txt"]),
    ],
)
def test_tab_completes_pegasus_summarize(
    folder: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    parser = make_parser()
    assert isinstance(parser, ArgumentParser)
    assert press_tab(parser, folder, *words) == offered


def test_the_script_is_printed(parser: ArgumentParser, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--print-completion", "bash"])
    assert caught.value.code == 0
    assert capsys.readouterr() == (write_completion(parser, "bash") + "\n", "")


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m pegasus_runtime.commands.summarize --print-completion bash"
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        command.split(), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_of_its_own(parser: ArgumentParser, shell: str) -> None:
    assert shell in shtab.SUPPORTED_SHELLS
    script = write_completion(parser, shell)
    assert "pegasus-test" in script
    assert all(word in script for word in ("print-completion", "target", "trt-rtx"))


def test_without_shtab_one_line_says_what_to_install(
    parser: ArgumentParser, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--print-completion", "bash"])
    assert caught.value.code == 2
    says = "pegasus-test: error: shtab is not installed: pip install 'pegasus-edge[completion]'\n"
    assert capsys.readouterr() == ("", says)
