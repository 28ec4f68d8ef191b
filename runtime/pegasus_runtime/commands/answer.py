"""pegasus-answer: a question to passages of documents, one line or one JSON object each."""

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
    positive,
)
from pegasus_runtime.tasks.question_answerer import QuestionAnswerer

__all__ = ["main"]

COMMAND = "pegasus-answer"
_DESCRIPTION = """\
Find passages of text files, or of standard input, that answer a question, with
a bundle of task question-answering that pegasus-export made.

Prints passage, score, characters (from-to) and file, a line each; with --json,
one JSON object a document.
"""
_EPILOG = """\
examples:
  pegasus-answer answers "Who was hurt?" article.txt
  pegasus-answer answers "When did it open?" --top-k 3 --json *.txt

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, the question or a document is unusable
  130  interrupted; the lines printed until then are complete (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _run(_parser().parse_intermixed_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    documents = [read_document(COMMAND, name) for name in arguments.files or ["-"]]
    with QuestionAnswerer.load(
        arguments.bundle,
        precision=arguments.precision,
        revision=arguments.revision,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        manifest_sha256=arguments.manifest_sha256,
        max_unknown=arguments.max_unknown,
    ) as answerer:
        for document in documents:
            answers = answerer.answer(
                arguments.question,
                document.text,
                top_k=arguments.top_k,
                max_answer_tokens=arguments.max_answer_tokens,
                truncate=arguments.truncate,
            )
            if answers[0].truncated:
                note(COMMAND, f"{document.name}: cut to what the bundle takes")
            warn_of_text(COMMAND, document.name, answers[0])
            if arguments.json:
                record = {"file": document.name, "answers": [asdict(each) for each in answers]}
                print_record(record)
            else:
                print_lines(
                    [
                        f"{' '.join(each.text.split())}\t{each.score:.4f}"
                        f"\t{each.start}-{each.end}\t{escape_controls(document.name)}"
                        for each in answers
                    ]
                )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE QUESTION [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_bundle(parser)
    add = parser.add_argument
    add("question", metavar="QUESTION", help="in quotes")
    add_documents(parser, json_fields="file and answers")
    add("--top-k", type=positive, default=1, metavar="N", help="passages a document (default: 1)")
    add(
        "--max-answer-tokens",
        type=positive,
        default=15,
        metavar="N",
        help="the longest passage (default: 15)",
    )
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.answer"))
