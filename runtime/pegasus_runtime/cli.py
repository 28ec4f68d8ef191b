"""pegasus-summarize: documents to summaries, one line or one JSON object each."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.errors import InputError, OptionsError, PegasusError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.summarizer import Summarizer, Summary

__all__ = ["main"]

EXIT_ENGINE = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130

_DESCRIPTION = """\
Summarise text files, or standard input, with a bundle that pegasus-export made.

Prints one summary a line, in the order of the files; with --json one object a line.
Generation options that are left out take the checkpoint's defaults.
"""
_EPILOG = """\
examples:
  pegasus-summarize xsum article.txt
  pegasus-summarize xsum --num-beams 4 --max-length 40 *.txt
  cat article.txt | pegasus-summarize xsum --json

exit codes: 0 done, 1 the engine failed, 2 the bundle, a document or an option is unusable,
130 interrupted; whatever was printed before is complete
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    name: str
    text: str


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (InputError, OptionsError) as err:
        return _fail(str(err), EXIT_INPUT)
    except PegasusError as err:
        from pegasus_runtime.errors import BundleError

        return _fail(str(err), EXIT_INPUT if isinstance(err, BundleError) else EXIT_ENGINE)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader has gone, as with `| head`
        sys.stderr.close()
        return 0


def _run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    documents = [_read(name) for name in arguments.files or ["-"]]
    with Summarizer.load(
        arguments.bundle,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
    ) as summarizer:
        summarizer.resolve(options)
        _check_all(summarizer, documents, arguments.truncate)
        size = arguments.batch_size
        for start in range(0, len(documents), size):
            batch = documents[start : start + size]
            begin = time.perf_counter()
            summaries = summarizer.summarize(
                [document.text for document in batch], options, truncate=arguments.truncate
            )
            seconds = (time.perf_counter() - begin) / len(batch)
            _clear_progress(len(documents))
            for document, summary in zip(batch, summaries, strict=True):
                _print(document, summary, seconds, as_json=arguments.json)
            _show_progress(start + len(batch), len(documents))
        _clear_progress(len(documents))
    return 0


def _check_all(summarizer: Summarizer, documents: Sequence[_Document], truncate: bool) -> None:
    """Finds the document that cannot be summarised before any work is done."""
    for document in documents:
        try:
            encoding = summarizer.encode(document.text, truncate=truncate)
        except InputError as err:
            raise InputError(f"{document.name}: {err}") from err
        if encoding.truncated:
            print(
                f"pegasus-summarize: {document.name}: cut from {encoding.num_tokens_before} to "
                f"{len(encoding.token_ids)} tokens",
                file=sys.stderr,
            )


def _read(name: str) -> _Document:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as err:
        raise InputError(f"{name}: cannot be read: {err.strerror}: check the path") from err
    shown = "standard input" if name == "-" else name
    try:
        return _Document(name=shown, text=data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise InputError(
            f"{shown}: not UTF-8 (byte {err.start}): convert it, e.g. with iconv -t UTF-8"
        ) from err


def _print(document: _Document, summary: Summary, seconds: float, *, as_json: bool) -> None:
    """One whole line, in one write."""
    if as_json:
        record = {"file": document.name, **_record(summary), "seconds": round(seconds, 4)}
        if summary.alternatives:
            record["alternatives"] = [_record(other) for other in summary.alternatives]
        lines = [json.dumps(record, ensure_ascii=False)]
    else:
        texts = [summary.text, *(other.text for other in summary.alternatives)]
        lines = [" ".join(text.splitlines()) for text in texts]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _record(summary: Summary) -> dict[str, object]:
    return {
        "text": summary.text,
        "score": summary.score,
        "tokens": list(summary.token_ids),
        "truncated": summary.truncated,
    }


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
    parser = argparse.ArgumentParser(
        prog="pegasus-summarize",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder that pegasus-export wrote (--target ort)")
    add("files", nargs="*", metavar="FILE", help="UTF-8 text, one document each; - is stdin")
    add("--json", action="store_true", help="print text, score, tokens, truncated, seconds")
    add("--truncate", action="store_true", help="cut documents that are too long, and say so")
    add(
        "--newlines",
        choices=("hf", "original"),
        default="hf",
        help="read a newline as a space, as Hugging Face does (default), or as <n>, as the "
        "original PEGASUS does",
    )
    add(
        "--parse-special-tokens",
        action="store_true",
        help="read </s>, <mask_1> ... in the text as special tokens; not for untrusted text",
    )
    add("--threads", type=int, metavar="N", help="engine threads (default: one per core)")
    add("--batch-size", type=_positive, default=8, metavar="N", help="documents run together")
    add("--check-hashes", action="store_true", help="check the bundle's SHA-256 sums first")
    _add_generation_options(parser.add_argument_group("generation options"))
    return parser


def _add_generation_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--num-beams", type=int, metavar="N", help="1 is greedy search")
    add("--max-length", type=int, metavar="N", help="most tokens, start token included")
    add("--max-new-tokens", type=int, metavar="N", help="most new tokens; beats --max-length")
    add("--min-length", type=int, metavar="N", help="fewest tokens, start token included")
    add("--min-new-tokens", type=int, metavar="N", help="fewest new tokens")
    add("--length-penalty", type=float, metavar="X", help="above 0 favours longer summaries")
    add(
        "--early-stopping",
        type=_early_stopping,
        metavar="{true,false,never}",
        help="when beam search has enough",
    )
    add("--no-repeat-ngram-size", type=int, metavar="N", help="no n-gram twice; 0 is off")
    add("--encoder-no-repeat-ngram-size", type=int, metavar="N", help="none copied; 0 is off")
    add("--repetition-penalty", type=float, metavar="X", help="1 is off")
    add("--num-return-sequences", type=int, metavar="N", help="summaries per document")
    add("--do-sample", action="store_true", default=None, help="draw tokens (with --num-beams 1)")
    add("--temperature", type=float, metavar="X", help="sampling: below 1 is sharper")
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


def _fail(message: str, code: int) -> int:
    print(f"pegasus-summarize: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
