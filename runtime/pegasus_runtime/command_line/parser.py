"""The parser of every command."""

import argparse
import sys
from typing import Any, NoReturn

from pegasus_runtime.command_line.completion import SHELLS, PrintCompletion
from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.spelling import did_you_mean
from pegasus_runtime.version import __version__

__all__ = ["ArgumentParser"]

_UNRECOGNIZED = "unrecognized arguments: "  # how argparse begins the message


class ArgumentParser(argparse.ArgumentParser):
    """Fails in one line, as everything else here does, and says what was probably meant.

    Takes no abbreviations of options: they break when options come. Has --version and
    --print-completion.
    """

    def __init__(self, *, prog: str, usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument(
            "--version",
            action="version",
            version=f"{prog} {__version__}",
            help="show the version and exit",
        )
        self.add_argument(
            "--print-completion",
            action=PrintCompletion,
            choices=SHELLS,
            metavar="SHELL",
            help=f"print the script that completes this command in a shell: {', '.join(SHELLS)}",
        )

    def error(self, message: str) -> NoReturn:
        if message.startswith(_UNRECOGNIZED):
            message += self._suggest_options(message.removeprefix(_UNRECOGNIZED))
        end = " " if message.endswith("?") else ": "
        note(self.prog, f"error: {message}{end}see {self.prog} --help")
        self.exit(EXIT_INPUT)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help and the version are results, which fail as all do; the rest is a note."""
        if file is sys.stdout:
            write_result(message)
        elif message:
            super()._print_message(message, file)

    def _suggest_options(self, unknown: str) -> str:
        """For the first of the unknown arguments that is nearly one of the options."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        given = [word.partition("=")[0] for word in unknown.split() if word.startswith("-")]
        return next(filter(None, (did_you_mean(word, options) for word in given)), "")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """In place of argparse's own, whose message depends on the version of Python."""
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            action,
            f"invalid choice: {value!r} (choose from {', '.join(names)})"
            f"{did_you_mean(str(value), names)}",
        )
