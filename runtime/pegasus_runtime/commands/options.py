"""The command line of pegasus-summarize, and what it shares with the other commands."""

import argparse
from pathlib import Path

from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.sessions.open_engine import PROVIDERS
from pegasus_runtime.spelling import did_you_mean

__all__ = [
    "COMMAND",
    "add_bundle",
    "add_documents",
    "add_engine_options",
    "make_parser",
    "positive",
    "read_options",
]

COMMAND = "pegasus-summarize"

_DESCRIPTION = """\
Summarise text files, or standard input, with a bundle that pegasus-export made.

Prints one summary a line, in the order of the files; with --json, one JSON
object a line. A document that cannot be summarised is named on standard error;
the others are summarised all the same.
"""
_EPILOG = """\
examples:
  pegasus-summarize xsum article.txt
  pegasus-summarize xsum --num-beams 4 --max-length 40 *.txt
  cat article.txt | pegasus-summarize xsum --json

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, an option, or at least one of the documents is unusable
  130  interrupted; the lines printed until then are complete
"""


def read_options(arguments: argparse.Namespace) -> GenerationOptions:
    """The generation options that were given. Raises: OptionsError."""
    names = GenerationOptions.__dataclass_fields__
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return GenerationOptions(**given)


def make_parser() -> argparse.ArgumentParser:
    """The parser, with the help that it prints."""
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add_bundle(parser)
    add_documents(
        parser,
        json_fields="file, text, score, tokens, truncated, seconds (a batch's time shared out) "
        "and, with --num-return-sequences, alternatives",
    )
    _add_reading_options(parser)
    add_engine_options(parser)
    add(
        "--provider",
        choices=PROVIDERS,
        default="auto",
        help="where to run: TensorRT for targets trt and trt-rtx, else the CPU, or CUDA where "
        "fp16 and ONNX Runtime have it (auto, the default); or what is named, or an error",
    )
    add(
        "--kernel-cache",
        type=Path,
        metavar="FILE",
        help="keeps what TensorRT for RTX compiles at its first run, for the next one",
    )
    add(
        "--batch-size",
        type=positive,
        metavar="N",
        help="documents run together at most (default: as many as memory allows, up to 16)",
    )
    _add_generation_options(
        parser.add_argument_group(
            "generation options",
            "Those left out take the checkpoint's defaults; names and meanings are\n"
            "Hugging Face's.",
        )
    )
    _add_token_options(
        parser.add_argument_group(
            "generation options on token ids",
            "IDS is a list such as 413,615, of ids as --json prints them.",
        )
    )
    return parser


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """BUNDLE, the first argument of every command."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder that pegasus-export wrote")


def add_documents(parser: argparse.ArgumentParser, *, json_fields: str) -> None:
    """FILE ..., and how they are read and printed."""
    parser.add_argument(
        "files",
        nargs="*",
        default=[],
        metavar="FILE",
        help="a document in UTF-8; - is standard input, and the default",
    )
    parser.add_argument("--json", action="store_true", help=f"print objects with {json_fields}")
    parser.add_argument(
        "--truncate",
        action="store_true",
        help="cut documents that are too long for the model, and say so; else they are an error",
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How the bundle is loaded."""
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="engine threads (default: one per core)"
    )
    parser.add_argument(
        "--check-hashes",
        action="store_true",
        help="first compare every file of the bundle with its SHA-256 sum",
    )


def _add_reading_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--newlines",
        choices=("hf", "original"),
        default="hf",
        help="read a newline as a space, as Hugging Face does (hf, the default), or as <n>, as "
        "the original PEGASUS does (original)",
    )
    add(
        "--parse-special-tokens",
        action="store_true",
        help="read </s>, <mask_1> ... in the text as special tokens; not for untrusted text",
    )


def _add_generation_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--num-beams", type=int, metavar="N", help="beams, up to 32; 1 is greedy search")
    add("--max-length", type=int, metavar="N", help="most tokens, start token included")
    add("--max-new-tokens", type=int, metavar="N", help="most new tokens; beats --max-length")
    add("--min-length", type=int, metavar="N", help="fewest tokens, start token included")
    add("--min-new-tokens", type=int, metavar="N", help="fewest new tokens; beats --min-length")
    add("--length-penalty", type=float, metavar="X", help="above 0 favours longer summaries")
    add(
        "--early-stopping",
        type=_early_stopping,
        metavar="{true,false,never}",
        help="stop at --num-beams finished summaries (true), when a better one is unlikely "
        "(false), or when none is possible (never)",
    )
    add("--no-repeat-ngram-size", type=int, metavar="N", help="no N-gram twice; 0 is off")
    add(
        "--encoder-no-repeat-ngram-size",
        type=int,
        metavar="N",
        help="no N-gram copied from the document; 0 is off",
    )
    add(
        "--repetition-penalty",
        type=float,
        metavar="X",
        help="above 1 makes tokens that were used less likely; 1 is off",
    )
    add(
        "--num-return-sequences",
        type=int,
        metavar="N",
        help="summaries per document, best first, a line each: up to --num-beams, or samples",
    )
    add(
        "--do-sample",
        action=argparse.BooleanOptionalAction,
        help="draw tokens at random; needs --num-beams 1",
    )
    add("--temperature", type=float, metavar="X", help="sampling: below 1 is less random")
    add("--top-k", type=int, metavar="N", help="sampling: the N likeliest tokens; 0 is all")
    add("--top-p", type=float, metavar="X", help="sampling: the likeliest tokens up to X together")
    add("--seed", type=int, metavar="N", help="sampling: the same seed, the same summaries")


def _add_token_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--bad-words-ids",
        type=_token_ids,
        action="append",
        metavar="IDS",
        help="a sequence that must not occur; may be given again for another",
    )
    add("--suppress-tokens", type=_token_ids, metavar="IDS", help="never generated")
    add("--begin-suppress-tokens", type=_token_ids, metavar="IDS", help="not generated first")
    add("--forced-bos-token-id", type=int, metavar="ID", help="generated first")
    add("--forced-eos-token-id", type=int, metavar="ID", help="generated at --max-length")


def _early_stopping(text: str) -> bool | str:
    choices: dict[str, bool | str] = {"true": True, "false": False, "never": "never"}
    if text not in choices:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected true, false or never{did_you_mean(text, choices)}"
        )
    return choices[text]


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from 1 up")
    return int(text)


def _token_ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(token) for token in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected token ids such as 413,615") from None
