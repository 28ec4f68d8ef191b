"""The options of pegasus-summarize for millions of documents, and which of them go together."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from pegasus_runtime.records.fields import MORE
from pegasus_runtime.records.target import is_parquet
from pegasus_runtime.records.window import WINDOW_RECORDS

__all__ = ["add_records_options", "check_records_options"]

_ALONE = ("json", "stream", "demo", "verbose")


def add_records_options(parser: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """Files of many documents. positive: the type of a number from 1 up."""
    group = parser.add_argument_group(
        "many documents a file",
        "With --jsonl, FILEs have a JSON object a line (.gz: packed), or are Parquet\n"
        "(.parquet). What is there of a record stays, and its summary is added. What\n"
        "fails is told in a file of its own, and the others go on.",
    )
    add = group.add_argument
    add("--jsonl", action="store_true", help="read records rather than one document a file")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="where records go, as lines, gzip (.gz) or Parquet (.parquet); default: standard "
        "output",
    )
    add(
        "--resume",
        action="store_true",
        help="go on with the output of a run that was interrupted or killed, without losing or "
        "repeating a record; begin if there is none",
    )
    add("--force", action="store_true", help="replace an output that is there")
    add(
        "--failures",
        type=Path,
        metavar="FILE",
        help="file, line, code and message of each record that failed, as JSON (default: "
        "OUT.failures.jsonl beside the output; without --output, standard error)",
    )
    add("--text-field", metavar="NAME", help="the field that is summarised (default: text)")
    add("--output-field", metavar="NAME", help="the summary's field (default: summary)")
    add(
        "--add",
        type=_names,
        metavar="NAMES",
        help=f"more fields, separated by commas: {', '.join(MORE)}",
    )
    add(
        "--workers",
        type=positive,
        metavar="N",
        help="processes, which share the cores and load the bundle each (default: 1)",
    )
    add(
        "--window",
        type=positive,
        metavar="N",
        help="records that are sorted by length, run and written together; after a kill, so many "
        f"run again, with workers up to twice as many for each (default: {WINDOW_RECORDS})",
    )


def check_records_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Ends the command where options do not go together, or have no effect."""
    names = ("output", "resume", "force", "failures", "text_field", "output_field")
    for name in (*names, "add", "workers", "window"):
        if getattr(arguments, name) and not arguments.jsonl:
            parser.error(f"--{name.replace('_', '-')} has no effect without --jsonl: add it")
    if not arguments.jsonl:
        return
    for name in _ALONE:
        if getattr(arguments, name):
            parser.error(f"--{name} does not go with --jsonl: leave one of them out")
    files = arguments.files or ["-"]
    for name in ("resume", "force"):
        if getattr(arguments, name) and arguments.output is None:
            parser.error(f"--{name} has no effect on standard output: name a file with --output")
    if arguments.output == Path("-"):
        parser.error("--output names a file: leave it out for standard output")
    if arguments.resume and arguments.force:
        parser.error("--resume goes on, and --force begins anew: leave one of them out")
    if arguments.resume and "-" in files:
        parser.error("--resume reads its input again, which standard input cannot: name a FILE")
    if files.count("-") > 1:
        parser.error("standard input is named twice, and can be read once: leave one out")
    kinds = {is_parquet(name) for name in files}
    if arguments.output is not None:
        kinds.add(is_parquet(arguments.output.name))
    elif True in kinds:
        parser.error("Parquet is not for standard output: name a file with --output")
    if len(kinds) > 1:
        parser.error("some of the files are Parquet and some are not: convert either before")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
