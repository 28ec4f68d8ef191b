"""pegasus-summarize: documents to summaries, one line or one JSON object each."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial

from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.commands.console import (
    Document,
    Refused,
    print_record,
    print_texts,
    run_command,
    warn_of_text,
)
from pegasus_runtime.commands.generation_options import read_options
from pegasus_runtime.commands.options import COMMAND, check_long, make_parser
from pegasus_runtime.commands.progress import ProgressLine
from pegasus_runtime.commands.records_options import check_records_options
from pegasus_runtime.commands.streaming import check_stream, print_stream
from pegasus_runtime.errors import InputError, PegasusError
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.hub.demo_bundle import ARTICLE, find_demo
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    # Options may stand between the files.
    return run_command(COMMAND, lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = make_parser()
    arguments = parser.parse_intermixed_args(argv)
    check_stream(parser, arguments)
    check_records_options(parser, arguments)
    check_long(parser, arguments)
    if arguments.demo and (arguments.bundle is not None or arguments.files):
        parser.error("--demo has a model and an article of its own, expected no BUNDLE and no FILE")
    if arguments.demo:
        arguments.bundle = find_demo(precision=arguments.precision)
        note(COMMAND, f"the article: {ARTICLE}")
        arguments.files = [Document(name="demo", text=ARTICLE)]
    elif arguments.bundle is None:
        parser.error("the following arguments are required: BUNDLE")
    if arguments.jsonl:
        from pegasus_runtime.commands.records import run_jsonl  # and what it needs, when it does

        return run_jsonl(COMMAND, arguments)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    options = read_options(arguments)
    refused = Refused(COMMAND)
    files: list[str | Document] = arguments.files or ["-"]
    files = [each for each in files if isinstance(each, Document) or not refused.is_missing(each)]
    if not files:
        return refused.code
    with Summarizer.load(
        arguments.bundle,
        precision=arguments.precision,
        revision=arguments.revision,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        manifest_sha256=arguments.manifest_sha256,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
        max_unknown=arguments.max_unknown,
        provider=arguments.provider,
        kernel_cache=arguments.kernel_cache,
    ) as summarizer:
        if arguments.verbose:
            note(COMMAND, summarizer.engine)
        if arguments.decoder_prefix is not None:
            prefix = _encode_prefix(summarizer, arguments.decoder_prefix)
            options = replace(options, decoder_input_ids=prefix)
        summarizer.resolve(options)  # before anyone types a document
        documents = _Documents(summarizer, files, arguments.long, refused)
        run = _stream_all if arguments.stream else _summarize_all
        run(documents, options, arguments)
    return refused.code


def _encode_prefix(summarizer: Summarizer, text: str) -> tuple[int, ...]:
    try:
        return summarizer.encode_prefix(text)
    except InputError as err:
        raise InputError(f"--decoder-prefix: {err}") from err


class _Documents:
    """Files, read and encoded one after another, as far ahead as the summarizer wants."""

    def __init__(
        self,
        summarizer: Summarizer,
        files: Sequence[str | Document],
        long: Long,
        refused: Refused,
    ) -> None:
        self.summarizer = summarizer
        self.files = files
        self.long = long
        self.refused = refused
        self.num_refused = 0
        self.ahead: deque[tuple[str, Encoding | None]] = deque()
        """Of those whose summaries have not come yet: names, and encodings, unless in windows."""

    def __iter__(self) -> Iterator[Encoding | str]:
        for file in self.files:
            read = self._read(file)
            if read is None:
                self.num_refused += 1
            else:
                yield read

    def _read(self, file: str | Document) -> Encoding | str | None:
        document = file if isinstance(file, Document) else self.refused.read(file)
        if document is None:
            return None
        if self.long == "chunk":
            self.ahead.append((document.name, None))
            return document.text
        try:
            truncate = self.long == "truncate"
            encoding = self.summarizer.encode(document.text, truncate=truncate)
        except InputError as err:
            self.refused.add(f"{document.name}: {err}", err)
            return None
        self.ahead.append((document.name, encoding))
        return encoding


def _summarize_all(
    documents: _Documents, options: GenerationOptions, arguments: argparse.Namespace
) -> None:
    """Prints each summary as soon as it and those before it are there."""
    progress = ProgressLine(len(documents.files))
    documents.refused.before = progress.clear
    try:
        progress.show(0)
        for result in documents.summarizer.summarize_each(
            documents,
            options,
            long=documents.long,
            errors="return",
            batch_size=arguments.batch_size,
            on_progress=lambda done, _: progress.show(done + documents.num_refused),
            on_step=progress.step,
        ):
            progress.clear()
            name, encoding = documents.ahead.popleft()
            if isinstance(result, Failure):
                documents.refused.add(f"{name}: {result.error}", result.error)
                continue
            _tell_of(name, encoding, result)
            _tell_of_windows(name, result)
            _print(name, result, as_json=arguments.json)
    finally:
        progress.clear()


def _stream_all(
    documents: _Documents, options: GenerationOptions, arguments: argparse.Namespace
) -> None:
    """Prints each summary as it comes, one after another."""
    for _ in documents:
        name, encoding = documents.ahead.popleft()
        assert encoding is not None  # windows are not streamed
        _tell_of(name, encoding, encoding)
        print_json = partial(_print, name, as_json=True) if arguments.json else None
        try:
            print_stream(name, documents.summarizer.stream(encoding, options), print_json)
        except PegasusError as err:
            documents.refused.add(f"{name}: {err}", err)


def _tell_of(name: str, encoding: Encoding | None, read: Encoding | Summary) -> None:
    if encoding is not None and encoding.truncated:
        lengths = f"{encoding.num_tokens_before} to {len(encoding.token_ids)}"
        note(COMMAND, f"{name}: cut from {lengths} tokens")
    warn_of_text(COMMAND, name, read)


def _tell_of_windows(name: str, summary: Summary) -> None:
    rounds = Counter(window.round for window in summary.windows)
    if rounds:
        counts = ", then ".join(str(count) for count in rounds.values())
        note(COMMAND, f"{name}: summarised in {counts} windows, as it is over the bundle's limit")


def _print(name: str, summary: Summary, *, as_json: bool) -> None:
    if as_json:
        record = {"file": name, **_record(summary), "seconds": round(summary.seconds, 4)}
        if summary.alternatives:
            record["alternatives"] = [_record(other) for other in summary.alternatives]
        print_record(record)
        return
    print_texts([summary.text, *(other.text for other in summary.alternatives)])


def _record(summary: Summary) -> dict[str, object]:
    record: dict[str, object] = {
        "text": summary.text,
        "score": summary.score,
        "tokens": list(summary.token_ids),
        "truncated": summary.truncated,
        "unknown_share": round(summary.unknown_share, 4),
        "control_characters": summary.control_characters,
        "looks_like_html": summary.looks_like_html,
    }
    if summary.windows:
        record["windows"] = [asdict(window) for window in summary.windows]
    if summary.token_scores is not None:
        record["token_scores"] = list(summary.token_scores)
    return record


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.summarize"))
