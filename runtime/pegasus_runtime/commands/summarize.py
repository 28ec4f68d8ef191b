"""pegasus-summarize: documents to summaries, one line or one JSON object each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.commands.console import (
    Document,
    exit_code,
    fail,
    note,
    print_lines,
    read_document,
    run_command,
)
from pegasus_runtime.commands.options import COMMAND, make_parser, read_options
from pegasus_runtime.commands.progress import ProgressLine
from pegasus_runtime.errors import InputError, PegasusError
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary

__all__ = ["main"]


class _Refused:
    """Documents that cannot be summarised: reported at once, and remembered in the exit code."""

    def __init__(self) -> None:
        self.code = 0

    def add(self, message: str, error: PegasusError) -> None:
        self.code = max(self.code, fail(COMMAND, message, exit_code(error)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = make_parser().parse_intermixed_args(argv)  # options may stand between the files
    return run_command(COMMAND, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    options = read_options(arguments)
    open_bundle(arguments.bundle)  # a wrong one is reported before anyone types a document
    refused = _Refused()
    documents = _read_all(arguments.files or ["-"], refused)
    if not documents:
        return refused.code
    with Summarizer.load(
        arguments.bundle,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
        provider=arguments.provider,
        kernel_cache=arguments.kernel_cache,
    ) as summarizer:
        summarizer.resolve(options)
        documents = _check_all(summarizer, documents, arguments.truncate, refused)
        _summarize_all(summarizer, documents, options, arguments, refused)
    return refused.code


def _read_all(names: Sequence[str], refused: _Refused) -> list[Document]:
    documents = []
    for name in names:
        try:
            documents.append(read_document(COMMAND, name))
        except InputError as err:
            refused.add(str(err), err)
    return documents


def _check_all(
    summarizer: Summarizer, documents: Sequence[Document], truncate: bool, refused: _Refused
) -> list[Document]:
    """Finds the documents that cannot be summarised before any work is done."""
    good = []
    for document in documents:
        try:
            encoding = summarizer.encode(document.text, truncate=truncate)
        except InputError as err:
            refused.add(f"{document.name}: {err}", err)
            continue
        good.append(document)
        if encoding.truncated:
            note(
                COMMAND,
                f"{document.name}: cut from {encoding.num_tokens_before} to "
                f"{len(encoding.token_ids)} tokens",
            )
    return good


def _summarize_all(
    summarizer: Summarizer,
    documents: Sequence[Document],
    options: GenerationOptions,
    arguments: argparse.Namespace,
    refused: _Refused,
) -> None:
    """Prints what is done after each batch, so that an interruption loses no more than one."""
    progress = ProgressLine(len(documents))
    try:
        for start in range(0, len(documents), arguments.batch_size):
            progress.show(start)
            batch = documents[start : start + arguments.batch_size]
            begin = time.perf_counter()
            results = summarizer.summarize(
                [document.text for document in batch],
                options,
                truncate=arguments.truncate,
                errors="return",
                on_progress=progress.after(start),
            )
            seconds = (time.perf_counter() - begin) / len(batch)
            progress.clear()
            for document, result in zip(batch, results, strict=True):
                if isinstance(result, Failure):
                    refused.add(f"{document.name}: {result.error}", result.error)
                else:
                    _print(document, result, seconds, as_json=arguments.json)
    finally:
        progress.clear()


def _print(document: Document, summary: Summary, seconds: float, *, as_json: bool) -> None:
    if as_json:
        record = {"file": document.name, **_record(summary), "seconds": round(seconds, 4)}
        if summary.alternatives:
            record["alternatives"] = [_record(other) for other in summary.alternatives]
        lines = [json.dumps(record, ensure_ascii=False)]
    else:
        texts = [summary.text, *(other.text for other in summary.alternatives)]
        lines = [" ".join(text.splitlines()) for text in texts]
    print_lines(lines)


def _record(summary: Summary) -> dict[str, object]:
    return {
        "text": summary.text,
        "score": summary.score,
        "tokens": list(summary.token_ids),
        "truncated": summary.truncated,
    }


if __name__ == "__main__":
    sys.exit(main())
