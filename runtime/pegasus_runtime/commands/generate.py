"""pegasus-generate: prompts to what follows them, one line or one JSON object each."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.commands.console import (
    Document,
    Refused,
    print_record,
    print_texts,
    run_command,
    warn_of_text,
)
from pegasus_runtime.commands.generation_options import add_generation_options, read_options
from pegasus_runtime.commands.options import (
    add_batch_size,
    add_bundle,
    add_engine_options,
    add_reading_options,
)
from pegasus_runtime.commands.progress import ProgressLine
from pegasus_runtime.commands.streaming import add_stream, check_stream, print_stream
from pegasus_runtime.errors import PegasusError
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.generation import Generation
from pegasus_runtime.tasks.text_generator import TextGenerator

__all__ = ["main"]

COMMAND = "pegasus-generate"
_DESCRIPTION = """\
Continue prompts with a bundle of task text-generation that pegasus-export made.

Prints what follows each prompt, a line each, in their order: first those of the
command line, then those of files; with --json, one JSON object a line. A prompt
that cannot be continued is named on standard error; the others are continued
all the same.
"""
_EPILOG = """\
examples:
  pegasus-generate stories "Once upon a time" --max-new-tokens 40
  pegasus-generate stories --file prompt.txt --do-sample --seed 1 --json

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, an option, or at least one of the prompts is unusable
  130  interrupted; the lines printed until then are complete (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments = parser.parse_intermixed_args(argv)
    check_stream(parser, arguments)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    options = read_options(arguments)
    refused = Refused(COMMAND)
    given = [
        Document(name=f"prompt {number}", text=text)
        for number, text in enumerate(arguments.prompts, start=1)
    ]
    files = arguments.file or ([] if given else ["-"])
    names = [name for name in files if not refused.is_missing(name)]
    if not given and not names:
        return refused.code
    with TextGenerator.load(
        arguments.bundle,
        precision=arguments.precision,
        revision=arguments.revision,
        threads=arguments.threads,
        check_hashes=arguments.check_hashes,
        manifest_sha256=arguments.manifest_sha256,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
        max_unknown=arguments.max_unknown,
    ) as generator:
        generator.resolve(options)  # before anyone types a prompt
        run = _stream_all if arguments.stream else _generate_all
        run(generator, _Prompts(given, names, refused), options, arguments)
    return refused.code


class _Prompts:
    """Those of the command line, and files, read as far ahead as the generator wants."""

    def __init__(self, given: Sequence[Document], files: Sequence[str], refused: Refused) -> None:
        self.given = given
        self.files = files
        self.refused = refused
        self.num_unread = 0
        self.ahead: deque[str] = deque()
        """Names of those whose results have not come yet."""

    def __len__(self) -> int:
        return len(self.given) + len(self.files)

    def __iter__(self) -> Iterator[str]:
        for document in chain(self.given, map(self.refused.read, self.files)):
            if document is None:
                self.num_unread += 1
            else:
                self.ahead.append(document.name)
                yield document.text


def _generate_all(
    generator: TextGenerator,
    prompts: _Prompts,
    options: GenerationOptions,
    arguments: argparse.Namespace,
) -> None:
    """Prints each result as soon as it and those before it are there."""
    progress = ProgressLine(len(prompts))
    prompts.refused.before = progress.clear
    try:
        progress.show(0)
        for result in generator.generate_each(
            prompts,
            options,
            add_special_tokens=arguments.eos,
            errors="return",
            batch_size=arguments.batch_size,
            on_progress=lambda done, _: progress.show(done + prompts.num_unread),
            on_step=progress.step,
        ):
            progress.clear()
            name = prompts.ahead.popleft()
            if isinstance(result, Failure):
                prompts.refused.add(f"{name}: {result.error}", result.error)
                continue
            warn_of_text(COMMAND, name, result)
            _print(name, result, as_json=arguments.json)
    finally:
        progress.clear()


def _stream_all(
    generator: TextGenerator,
    prompts: _Prompts,
    options: GenerationOptions,
    arguments: argparse.Namespace,
) -> None:
    """Prints what follows each prompt as it comes, one after another."""
    for text in prompts:
        name = prompts.ahead.popleft()
        print_json = partial(_print, name, as_json=True) if arguments.json else None
        try:
            stream = generator.stream(text, options, add_special_tokens=arguments.eos)
            result = print_stream(name, stream, print_json)
        except PegasusError as err:
            prompts.refused.add(f"{name}: {err}", err)
        else:
            warn_of_text(COMMAND, name, result)


def _print(name: str, generation: Generation, *, as_json: bool) -> None:
    if as_json:
        record = {"file": name, "prompt": generation.prompt, **_record(generation)}
        record |= {
            "unknown_share": round(generation.unknown_share, 4),
            "control_characters": generation.control_characters,
            "looks_like_html": generation.looks_like_html,
            "seconds": round(generation.seconds, 4),
        }
        if generation.alternatives:
            record["alternatives"] = [_record(other) for other in generation.alternatives]
        print_record(record)
        return
    print_texts([generation.text, *(other.text for other in generation.alternatives)])


def _record(generation: Generation) -> dict[str, object]:
    record: dict[str, object] = {
        "text": generation.text,
        "score": generation.score,
        "tokens": list(generation.token_ids),
    }
    if generation.token_scores is not None:
        record["token_scores"] = list(generation.token_scores)
    return record


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE [PROMPT ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_bundle(parser)
    add = parser.add_argument
    add("prompts", nargs="*", default=[], metavar="PROMPT", help="in quotes")
    add(
        "--file",
        action="append",
        metavar="FILE",
        help="a prompt in UTF-8, all of the file; - is standard input, and the default where there "
        "is no PROMPT; may be given again",
    )
    add(
        "--json",
        action="store_true",
        help="print objects with file, prompt, text, score, tokens, unknown_share, "
        "control_characters, looks_like_html, seconds (a batch's time shared out) and, with "
        "--token-scores, token_scores; with --num-return-sequences, alternatives",
    )
    add(
        "--eos",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="end prompts in EOS, as Hugging Face's tokenizer does (the default)",
    )
    add_stream(parser)
    add_reading_options(parser)
    add_engine_options(parser)
    add_batch_size(parser)
    add_generation_options(parser, continues=True)
    return parser


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.generate"))
