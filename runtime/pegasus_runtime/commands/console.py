"""What the commands share: documents in, lines out, errors in one line, exit codes."""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pegasus_runtime.command_line import process
from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.messages import fail, note
from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.errors import BundleError, InputError, OptionsError, PegasusError

__all__ = [
    "EXIT_ENGINE",
    "Document",
    "Refused",
    "TextRead",
    "exit_code",
    "one_line",
    "print_lines",
    "print_record",
    "print_texts",
    "read_document",
    "run_command",
    "warn_of_text",
]

EXIT_ENGINE = 1

_STDIN = "standard input"
_MUCH_UNKNOWN = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text, and the name to report it by."""

    name: str
    text: str


class TextRead(Protocol):
    """What every result tells of the text that was read."""

    @property
    def unknown_share(self) -> float: ...

    @property
    def control_characters(self) -> int: ...

    @property
    def looks_like_html(self) -> bool: ...


class Refused:
    """Documents of no use: reported at once, and remembered in the exit code."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.code = 0
        self.before: Callable[[], None] = lambda: None
        """Called before something is reported."""

    def add(self, message: str, error: PegasusError) -> None:
        self.before()
        self.code = max(self.code, fail(self.command, message, exit_code(error)))

    def read(self, name: str) -> Document | None:
        """A document; None of one that cannot be read."""
        try:
            return read_document(self.command, name)
        except InputError as err:
            self.add(str(err), err)
            return None

    def is_missing(self, name: str) -> bool:
        """Whether there is no such file, which is reported before the bundle is loaded."""
        if name == "-" or (os.path.exists(name) and not os.path.isdir(name)):  # Path's may raise
            return False
        return self.read(name) is None


def run_command(command: str, run: Callable[[], int]) -> int:
    """Runs a command; its exit code, after one line on standard error for whatever went wrong."""
    return process.run_command(
        command,
        run,
        exit_code=lambda error: exit_code(error) if isinstance(error, PegasusError) else None,
        failed=EXIT_ENGINE,
    )


def exit_code(error: PegasusError) -> int:
    """2 where the request is at fault, 1 where the engine is."""
    at_fault = isinstance(error, BundleError | InputError | OptionsError)
    return EXIT_INPUT if at_fault else EXIT_ENGINE


def read_document(command: str, name: str) -> Document:
    """A file in UTF-8; `-` is standard input. Raises: InputError."""
    shown = _STDIN if name == "-" else name
    try:
        data = _read_stdin(command) if name == "-" else Path(name).read_bytes()
    except OSError as err:
        raise InputError(f"{shown}: cannot be read: {err.strerror}: check the path") from err
    try:
        return Document(name=shown, text=data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise InputError(
            f"{shown}: not UTF-8 (byte {err.start}): convert it, e.g. with iconv -t UTF-8"
        ) from err


def print_record(record: Mapping[str, object]) -> None:
    """One line of JSON. Numbers that JSON has not, such as an infinite score, are null."""
    print_lines([json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)])


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def warn_of_text(command: str, name: str, read: TextRead) -> None:
    """A line for each thing in a document that a model was not made to read."""
    if read.unknown_share > _MUCH_UNKNOWN:
        note(
            command,
            f"{name}: warning: the tokenizer does not know {read.unknown_share:.0%} of its "
            "characters, so the result may be made up: use a model of the document's language",
        )
    if read.looks_like_html:
        note(
            command,
            f"{name}: warning: it has HTML, which the model reads as words: make plain text of it "
            "first, e.g. with w3m -dump -T text/html, lynx -dump -stdin, or trafilatura",
        )
    if read.control_characters:
        count = read.control_characters
        note(
            command,
            f"{name}: warning: it has {count} character{'' if count == 1 else 's'} that nobody "
            "sees, such as escape sequences, soft hyphens or marks of direction, and the model "
            "cannot read: remove them if the result is odd",
        )


def print_lines(lines: Sequence[str]) -> None:
    """Whole lines on standard output. Raises: ResultError."""
    write_result("".join(f"{line}\n" for line in lines))


def print_texts(texts: Sequence[str]) -> None:
    """Each in a line of its own, whatever lines it has. Raises: ResultError."""
    print_lines([one_line(text) for text in texts])


def one_line(text: str) -> str:
    """A text's lines as one."""
    return " ".join(text.splitlines())


def _read_stdin(command: str) -> bytes:
    if sys.stdin is None:
        raise InputError(f"{_STDIN} is closed: name a FILE, or give it text")
    if sys.stdin.isatty():
        note(
            command,
            f"reading {_STDIN}: type or paste the text, then press Ctrl-D on a line of its own",
        )
    return sys.stdin.buffer.read()
