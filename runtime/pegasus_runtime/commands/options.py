"""The command line of pegasus-summarize, and what it shares with the other commands."""

import argparse
from pathlib import Path
from typing import get_args

from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.commands.generation_options import add_generation_options
from pegasus_runtime.commands.records_options import add_records_options
from pegasus_runtime.commands.streaming import add_stream
from pegasus_runtime.sessions.open_engine import PROVIDERS
from pegasus_runtime.sessions.ort.graph import MAX_THREADS
from pegasus_runtime.tasks.long_documents.long import Long, resolve_long

__all__ = [
    "COMMAND",
    "add_batch_size",
    "add_bundle",
    "add_documents",
    "add_engine_options",
    "add_long",
    "add_reading_options",
    "check_long",
    "make_parser",
    "positive",
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
  pegasus-summarize google/pegasus-xsum --precision int8 article.txt
  pegasus-summarize --demo
  pegasus-summarize xsum --jsonl in.jsonl --output out.jsonl.gz --resume

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, an option, or at least one of the documents is unusable
  130  interrupted; the lines printed until then are complete (143: terminated)
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser, with the help that it prints."""
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add_bundle(parser, has_demo=True)
    add(
        "--demo",
        action="store_true",
        help="summarise a short built-in article with a small model: no BUNDLE, no FILE",
    )
    add_documents(
        parser,
        json_fields="file, text, score, tokens, truncated, unknown_share, control_characters, "
        "looks_like_html, seconds (a batch's time shared out) and, with --token-scores, "
        "token_scores; with --num-return-sequences, alternatives; with --long chunk, "
        "windows",
    )
    add_long(parser)
    add_stream(parser)
    add_reading_options(parser)
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
        "--verbose",
        action="store_true",
        help="say on standard error what runs the bundle: the engine, its version, its kernels",
    )
    add_batch_size(parser)
    add_records_options(parser, positive)
    add_generation_options(parser)
    return parser


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """How many documents run together."""
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="documents run together at most (default: as many as memory allows, up to 16)",
    )


def add_bundle(parser: argparse.ArgumentParser, *, has_demo: bool = False) -> None:
    """BUNDLE, the first argument of every command, and what goes with a name."""
    add = parser.add_argument
    add(
        "bundle",
        nargs="?" if has_demo else None,
        metavar="BUNDLE",
        help="folder that pegasus-export wrote; or owner/name of a bundle or a checkpoint on the "
        "Hugging Face hub, downloaded or exported once",
    )
    add(
        "--precision",
        metavar="NAME",
        help="of a checkpoint that is given by name: fp32 (default) or int8, ...; a bundle must "
        "have it",
    )
    add("--revision", metavar="REV", help="branch, tag or commit of what is given by name")


def add_documents(parser: argparse.ArgumentParser, *, json_fields: str | None = None) -> None:
    """FILE ..., and how they are read and printed; json_fields: where they can be objects."""
    parser.add_argument(
        "files",
        nargs="*",
        default=[],
        metavar="FILE",
        help="a document in UTF-8; - is standard input, and the default",
    )
    if json_fields is not None:
        parser.add_argument("--json", action="store_true", help=f"print objects with {json_fields}")
    parser.add_argument(
        "--truncate",
        action="store_true",
        help="cut documents that are too long for the model, and say so; else they are an error",
    )


def add_long(parser: argparse.ArgumentParser) -> None:
    """What is done about a document that is too long for the model."""
    parser.add_argument(
        "--long",
        choices=get_args(Long),
        help="what to do about documents that are too long for the model: refuse them (error, the "
        "default), cut them as --truncate does (truncate), or summarise them in windows, whose "
        "summaries are joined (chunk); then --max-length and its like are each window's",
    )


def check_long(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Settles --long and its short form; refuses what contradicts it. Does not return then."""
    if arguments.truncate and arguments.long not in (None, "truncate"):
        parser.error(
            f"--truncate stands for --long truncate, and --long is {arguments.long}: "
            "give one of the two"
        )
    if arguments.stream and arguments.long == "chunk":
        parser.error(
            "--long chunk drops what windows say twice, and --stream takes nothing back: leave one "
            "of the two out"
        )
    arguments.long = resolve_long(arguments.long, truncate=arguments.truncate)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How the bundle is loaded."""
    parser.add_argument(
        "--threads",
        type=threads,
        metavar="N",
        help=f"engine threads, up to {MAX_THREADS} (default: one per core of the process)",
    )
    parser.add_argument(
        "--check-hashes",
        action="store_true",
        help="first compare every file of the bundle with its SHA-256 sum",
    )
    parser.add_argument(
        "--manifest-sha256",
        metavar="HEX",
        help="run only the bundle whose manifest.json has this SHA-256 sum; compares files, too",
    )
    parser.add_argument(
        "--max-unknown",
        type=share,
        metavar="X",
        help="refuse texts of which the tokenizer does not know more than this share of the "
        "characters, from 0 to 1 (default: warn from 0.2 on)",
    )


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """How a text becomes tokens."""
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


def threads(text: str) -> int:
    count = positive(text)
    if count > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from 1 to {MAX_THREADS}")
    return count


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a share from 0 to 1, such as 0.2")
    return value


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from 1 up")
    return int(text)
