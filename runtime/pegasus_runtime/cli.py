"""pegasus-summarize: documents to summaries, one line or one JSON object each."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.command_line import COMMAND, EXIT_INPUT, make_parser, read_options
from pegasus_runtime.errors import BundleError, InputError, OptionsError, PegasusError
from pegasus_runtime.failure import Failure
from pegasus_runtime.progress import ProgressLine
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.summarizer import Summarizer
from pegasus_runtime.summary import Summary

__all__ = ["main"]

EXIT_ENGINE = 1
EXIT_INTERRUPTED = 130

_STDIN = "standard input"


class _OutputError(Exception):
    """Standard output takes no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    name: str
    text: str


class _Refused:
    """Documents that cannot be summarised: reported at once, and remembered in the exit code."""

    def __init__(self) -> None:
        self.code = 0

    def add(self, message: str, error: PegasusError) -> None:
        code = EXIT_INPUT if isinstance(error, InputError | OptionsError) else EXIT_ENGINE
        self.code = max(self.code, _fail(message, code))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = make_parser().parse_intermixed_args(argv)  # options may stand between the files
    handler = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments)
    except (BundleError, InputError, OptionsError) as err:
        return _fail(str(err), EXIT_INPUT)
    except PegasusError as err:
        return _fail(str(err), EXIT_ENGINE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader has gone, as with `| head`
        _discard_output()
        return 0
    except _OutputError as err:
        _discard_output()
        return _fail(str(err), EXIT_ENGINE)
    finally:
        signal.signal(signal.SIGTERM, handler)


def _run(arguments: argparse.Namespace) -> int:
    options = read_options(arguments)
    open_bundle(arguments.bundle)  # a wrong one is reported before anyone types a document
    refused = _Refused()
    documents = _read_all(arguments.files or ["-"], refused)
    if not documents:
        return refused.code
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever the locale. A file name that is no Unicode becomes what JSON escapes it to.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    with Summarizer.load(
        arguments.bundle,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
    ) as summarizer:
        summarizer.resolve(options)
        documents = _check_all(summarizer, documents, arguments.truncate, refused)
        _summarize_all(summarizer, documents, options, arguments, refused)
    return refused.code


def _read_all(names: Sequence[str], refused: _Refused) -> list[_Document]:
    documents = []
    for name in names:
        try:
            documents.append(_read(name))
        except InputError as err:
            refused.add(str(err), err)
    return documents


def _check_all(
    summarizer: Summarizer, documents: Sequence[_Document], truncate: bool, refused: _Refused
) -> list[_Document]:
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
            _note(
                f"{document.name}: cut from {encoding.num_tokens_before} to "
                f"{len(encoding.token_ids)} tokens"
            )
    return good


def _summarize_all(
    summarizer: Summarizer,
    documents: Sequence[_Document],
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


def _read(name: str) -> _Document:
    shown = _STDIN if name == "-" else name
    try:
        data = _read_stdin() if name == "-" else Path(name).read_bytes()
    except OSError as err:
        raise InputError(f"{shown}: cannot be read: {err.strerror}: check the path") from err
    try:
        return _Document(name=shown, text=data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise InputError(
            f"{shown}: not UTF-8 (byte {err.start}): convert it, e.g. with iconv -t UTF-8"
        ) from err


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise InputError(f"{_STDIN} is closed: name a FILE, or give it text")
    if sys.stdin.isatty():
        _note(f"reading {_STDIN}: type or paste the text, then press Ctrl-D on a line of its own")
    return sys.stdin.buffer.read()


def _print(document: _Document, summary: Summary, seconds: float, *, as_json: bool) -> None:
    """Whole lines, in one write."""
    if as_json:
        record = {"file": document.name, **_record(summary), "seconds": round(seconds, 4)}
        if summary.alternatives:
            record["alternatives"] = [_record(other) for other in summary.alternatives]
        lines = [json.dumps(record, ensure_ascii=False)]
    else:
        texts = [summary.text, *(other.text for other in summary.alternatives)]
        lines = [" ".join(text.splitlines()) for text in texts]
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as err:
        raise _OutputError(
            f"standard output cannot be written: {err.strerror}: free some space, or send it "
            "somewhere else"
        ) from err


def _record(summary: Summary) -> dict[str, object]:
    return {
        "text": summary.text,
        "score": summary.score,
        "tokens": list(summary.token_ids),
        "truncated": summary.truncated,
    }


def _discard_output() -> None:
    """Lets Python's own flush at exit succeed, which would print a traceback otherwise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _note(message: str) -> None:
    print(f"{COMMAND}: {' '.join(message.splitlines())}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    _note(f"error: {message}")
    return code


if __name__ == "__main__":
    sys.exit(main())
