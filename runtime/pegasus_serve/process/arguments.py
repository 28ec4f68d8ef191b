"""The command line of pegasus-serve."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.commands.options import positive, share
from pegasus_runtime.sessions.open_engine import PROVIDERS

__all__ = ["COMMAND", "make_parser"]

COMMAND = "pegasus-serve"

_DESCRIPTION = """\
Serve bundles that pegasus-export made over HTTP: summaries, labels, answers.

Requests of many clients are joined into batches. A page to try it is at /, and
the API's description at /openapi.json. Models are loaded in the background:
/health answers at once, /ready when they are there. A line of JSON for each
request goes to standard error, without the text of a document.
"""
_EPILOG = """\
examples:
  pegasus-serve xsum
  pegasus-serve news=bundles/xsum topics=bundles/topics --port 8080
  PEGASUS_SERVE_TOKEN=$(openssl rand -hex 24) pegasus-serve xsum --host 0.0.0.0
  curl http://127.0.0.1:8000/v1/summarize -H 'content-type: application/json' \\
    -d '{"inputs": "A long text ...", "parameters": {"num_beams": 4}}'

The token is read from --token-file or PEGASUS_SERVE_TOKEN, never from the
command line, which every user of a computer can see.

On SIGTERM or Ctrl-C, /ready says 503, what comes is refused, what runs is
finished within --grace seconds; a second signal ends it at once.

exit codes:
  0    ended by a signal, in good order
  1    the engine is missing or failed
  2    a bundle, an option or the address is unusable
  130  ended by a second Ctrl-C (143: SIGTERM)
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser."""
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} [NAME=]BUNDLE ... [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "bundles",
        nargs="+",
        metavar="BUNDLE",
        help="a folder that pegasus-export wrote, or owner/name on the Hugging Face hub; NAME= "
        "before it is what requests call it (default: its last part)",
    )
    _add_address(parser.add_argument_group("address and access"))
    _add_limits(parser.add_argument_group("limits; what is over them is refused, and says so"))
    _add_batching(parser.add_argument_group("batches"))
    _add_loading(parser)
    return parser


def _add_address(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="(default: 127.0.0.1)")
    add("--port", type=_port, default=8000, metavar="N", help="0 takes a free one (default: 8000)")
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="has the token that requests must bring as 'Authorization: Bearer TOKEN' (default: "
        "PEGASUS_SERVE_TOKEN, if that is set)",
    )
    add(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="a site whose pages may read answers, such as https://example.org; may be given again",
    )
    add(
        "--grace",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds for what runs when it ends (default: 30)",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-body-mib", type=positive, default=8, metavar="N", help="of a request (default: 8)")
    add("--max-documents", type=positive, default=64, metavar="N", help="of one (default: 64)")
    add("--max-beams", type=positive, default=8, metavar="N", help="and sequences (default: 8)")
    add(
        "--max-new-tokens",
        type=positive,
        default=1024,
        metavar="N",
        help="of a summary, within the bundle's own limit (default: 1024)",
    )
    add(
        "--timeout",
        type=_above_zero,
        default=60.0,
        metavar="S",
        help="seconds of a request that names no timeout_s (default: 60)",
    )
    add(
        "--max-timeout",
        type=_above_zero,
        default=300.0,
        metavar="S",
        help="seconds that one may name (default: 300)",
    )
    add(
        "--max-requests",
        type=positive,
        default=512,
        metavar="N",
        help="worked on at a time; more get 503 and Retry-After (default: 512)",
    )
    add(
        "--max-connections",
        type=positive,
        default=1024,
        metavar="N",
        help="open at a time, idle ones included (default: 1024)",
    )


def _add_batching(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--max-queue",
        type=positive,
        default=256,
        metavar="N",
        help="documents of a model that wait; more get 503 and Retry-After (default: 256)",
    )
    add(
        "--max-wait-ms",
        type=_seconds,
        default=5.0,
        metavar="MS",
        help="that a document waits for others to join it (default: 5)",
    )
    add(
        "--batch-size",
        type=positive,
        metavar="N",
        help="documents that run together (default: as many as memory allows)",
    )


def _add_loading(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--threads",
        type=positive,
        metavar="N",
        help="of an engine (default: one per core that the process may use)",
    )
    add("--check-hashes", action="store_true", help="first compare every file's SHA-256 sum")
    add("--provider", choices=PROVIDERS, default="auto", help="where to run (default: auto)")
    add("--kernel-cache", type=Path, metavar="FILE", help="keeps what TensorRT for RTX compiles")
    add("--precision", metavar="NAME", help="of a checkpoint by name: fp32 (default) or int8, ...")
    add("--revision", metavar="REV", help="branch, tag or commit of what is given by name")
    add(
        "--max-unknown",
        type=share,
        metavar="X",
        help="refuse texts of which the tokenizer does not know more than this share of the "
        "characters, from 0 to 1 (default: none is refused)",
    )
    add(
        "--newlines",
        choices=("hf", "original"),
        default="hf",
        help="read a newline as a space (hf, the default), or as <n> (original)",
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 up")
    return value


def _above_zero(text: str) -> float:
    value = _seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number above 0")
    return value
