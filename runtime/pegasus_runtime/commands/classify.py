"""pegasus-classify: documents to labels, one line or one JSON object each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pegasus_runtime.command_line.messages import escape_controls, note
from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.commands.console import (
    print_lines,
    print_record,
    read_document,
    run_command,
    warn_of_text,
)
from pegasus_runtime.commands.options import (
    add_bundle,
    add_documents,
    add_engine_options,
)
from pegasus_runtime.tasks.text_classifier import TextClassifier

__all__ = ["main"]

COMMAND = "pegasus-classify"
_DESCRIPTION = """\
Label text files, or standard input, with a bundle of task text-classification
that pegasus-export made.

Prints label, score and file, a line each; with --json, one JSON object a line.
"""
_EPILOG = """\
examples:
  pegasus-classify topics article.txt
  pegasus-classify topics --json *.txt

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle or a document is unusable
  130  interrupted; the lines printed until then are complete (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _run(_parser().parse_intermixed_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    documents = [read_document(COMMAND, name) for name in arguments.files or ["-"]]
    with TextClassifier.load(
        arguments.bundle,
        precision=arguments.precision,
        revision=arguments.revision,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        manifest_sha256=arguments.manifest_sha256,
        max_unknown=arguments.max_unknown,
    ) as classifier:
        for document in documents:
            found = classifier.classify(document.text, truncate=arguments.truncate)
            if found.truncated:
                note(COMMAND, f"{document.name}: cut to what the bundle takes")
            warn_of_text(COMMAND, document.name, found)
            if arguments.json:
                record = {"file": document.name, **asdict(found)}
                print_record(record)
            else:
                columns = (found.label, f"{found.score:.4f}", document.name)
                print_lines(["\t".join(map(escape_controls, columns))])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_bundle(parser)
    add_documents(
        parser,
        json_fields="file, label, score, scores, truncated, unknown_share, control_characters, "
        "looks_like_html",
    )
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.classify"))
