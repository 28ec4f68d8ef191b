"""What every command has: errors in one line with what was probably meant, and --version."""

from __future__ import annotations

import pytest

from pegasus_runtime import __version__
from pegasus_runtime.command_line.parser import ArgumentParser

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="pegasus-test", usage="pegasus-test [FILE ...] [options]", description="d", epilog="e"
    )
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--num-beams", type=int)
    parser.add_argument("--truncate", action="store_true")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--size", type=int, choices=(16, 32))
    return parser


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--num-beam", "unrecognized arguments: --num-beam: did you mean --num-beams?"),
        ("--num_beams=4", "unrecognized arguments: --num_beams=4: did you mean --num-beams?"),
        ("--shiny", "unrecognized arguments: --shiny:"),
        ("-x", "unrecognized arguments: -x:"),
        ("--shiny --trunkate", "unrecognized arguments: --shiny --trunkate: did you mean --trun"),
        ("--provider CUDA", "argument --provider: invalid choice: 'CUDA' (choose from auto, cpu, "),
        ("--provider cudda", "cpu, cuda): did you mean cuda?"),
        ("--provider gpu", "invalid choice: 'gpu' (choose from auto, cpu, cuda):"),
        ("--size 17", "argument --size: invalid choice: 17 (choose from 16, 32):"),
        ("--num-beams two", "argument --num-beams: invalid int value: 'two':"),
    ],
)
@pytest.mark.parametrize("intermixed", [False, True])
def test_what_is_refused_is_told_in_one_line_with_what_was_meant(
    parser: ArgumentParser, capsys: Captured, words: str, message: str, intermixed: bool
) -> None:
    parse = parser.parse_intermixed_args if intermixed else parser.parse_args
    with pytest.raises(SystemExit) as caught:
        parse(words.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("pegasus-test: error: ")
    assert err.endswith(" see pegasus-test --help\n")
    assert message in err


def test_a_hint_ends_the_message_with_a_question(parser: ArgumentParser, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["--num-beam=3"])
    assert capsys.readouterr().err == (
        "pegasus-test: error: unrecognized arguments: --num-beam=3: did you mean --num-beams? "
        "see pegasus-test --help\n"
    )


def test_a_newline_in_what_is_refused_makes_no_second_line(
    parser: ArgumentParser, capsys: Captured
) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["--shiny=a\nb"])
    assert capsys.readouterr().err == (
        "pegasus-test: error: unrecognized arguments: --shiny=a b: see pegasus-test --help\n"
    )


def test_known_arguments_are_parsed(parser: ArgumentParser) -> None:
    found = parser.parse_args(["a", "--provider", "cuda", "--size", "32"])
    assert (found.files, found.provider, found.size) == (["a"], "cuda", 32)


def test_the_version_is_that_of_the_runtime(parser: ArgumentParser, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"pegasus-test {__version__}\n"
