"""pegasus-summarize: documents to summaries, one line or one JSON object each."""

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
from typing import NoReturn

from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import BundleError, InputError, OptionsError, PegasusError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.summarizer import Summarizer, Summary

__all__ = ["main"]

EXIT_ENGINE = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130

_COMMAND = "pegasus-summarize"
_STDIN = "standard input"
_DESCRIPTION = """\
Summarise text files, or standard input, with a bundle that pegasus-export made.

Prints one summary a line, in the order of the files; with --json, one JSON
object a line.
"""
_EPILOG = """\
examples:
  pegasus-summarize xsum article.txt
  pegasus-summarize xsum --num-beams 4 --max-length 40 *.txt
  cat article.txt | pegasus-summarize xsum --json

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, a document or an option is unusable
  130  interrupted; the lines printed until then are complete
"""


class _OutputError(Exception):
    """Standard output takes no more."""


class _ArgumentParser(argparse.ArgumentParser):
    """One that fails in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_INPUT, f"{_COMMAND}: error: {message}: see {_COMMAND} --help\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    name: str
    text: str


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _parser().parse_intermixed_args(argv)  # options may stand between the files
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
    options = _options(arguments)
    open_bundle(arguments.bundle)  # a wrong one is reported before anyone types a document
    documents = [_read(name) for name in arguments.files or ["-"]]
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
        _check_all(summarizer, documents, arguments.truncate)
        _summarize_all(summarizer, documents, options, arguments)
    return 0


def _summarize_all(
    summarizer: Summarizer,
    documents: Sequence[_Document],
    options: GenerationOptions,
    arguments: argparse.Namespace,
) -> None:
    """Prints what is done after each batch, so that an interruption loses no more than one."""
    total, size = len(documents), arguments.batch_size
    try:
        for start in range(0, total, size):
            _show_progress(start, total)
            batch = documents[start : start + size]
            begin = time.perf_counter()
            texts = [document.text for document in batch]
            summaries = summarizer.summarize(texts, options, truncate=arguments.truncate)
            seconds = (time.perf_counter() - begin) / len(batch)
            _clear_progress(total)
            for document, summary in zip(batch, summaries, strict=True):
                _print(document, summary, seconds, as_json=arguments.json)
    finally:
        _clear_progress(total)


def _check_all(summarizer: Summarizer, documents: Sequence[_Document], truncate: bool) -> None:
    """Finds the document that cannot be summarised before any work is done."""
    for document in documents:
        try:
            encoding = summarizer.encode(document.text, truncate=truncate)
        except InputError as err:
            raise InputError(f"{document.name}: {err}") from err
        if encoding.truncated:
            _note(
                f"{document.name}: cut from {encoding.num_tokens_before} to "
                f"{len(encoding.token_ids)} tokens"
            )


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


def _show_progress(done: int, total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {total} documents")
        sys.stderr.flush()


def _clear_progress(total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _options(arguments: argparse.Namespace) -> GenerationOptions:
    names = GenerationOptions.__dataclass_fields__
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return GenerationOptions(**given)


def _parser() -> argparse.ArgumentParser:
    parser = _ArgumentParser(
        prog=_COMMAND,
        usage=f"{_COMMAND} BUNDLE [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder that pegasus-export wrote (--target ort)")
    add(
        "files",
        nargs="*",
        default=[],
        metavar="FILE",
        help="a document in UTF-8; - is standard input, and the default",
    )
    add(
        "--json",
        action="store_true",
        help="print objects with file, text, score, tokens, truncated, seconds (a batch's time "
        "shared out) and, with --num-return-sequences, alternatives",
    )
    add(
        "--truncate",
        action="store_true",
        help="cut documents that are too long for the model, and say so; else they are an error",
    )
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
    add("--threads", type=_positive, metavar="N", help="engine threads (default: one per core)")
    add(
        "--batch-size",
        type=_positive,
        default=8,
        metavar="N",
        help="documents run together, and printed together (default: 8)",
    )
    add(
        "--check-hashes",
        action="store_true",
        help="first compare every file of the bundle with its SHA-256 sum",
    )
    _add_generation_options(
        parser.add_argument_group(
            "generation options",
            "Those left out take the checkpoint's defaults; names and meanings are\n"
            "Hugging Face's.",
        )
    )
    return parser


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


def _early_stopping(text: str) -> bool | str:
    choices: dict[str, bool | str] = {"true": True, "false": False, "never": "never"}
    if text not in choices:
        raise argparse.ArgumentTypeError(f"{text!r}, expected true, false or never")
    return choices[text]


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer from 1 up")
    return int(text)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _note(message: str) -> None:
    print(f"{_COMMAND}: {' '.join(message.splitlines())}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    _note(f"error: {message}")
    return code


if __name__ == "__main__":
    sys.exit(main())
