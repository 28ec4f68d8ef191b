"""The script with which a shell completes a command: its options, their choices, files, folders.

What an option takes is read off its help: FILE, a folder, or {one,of,these}. shtab writes the
script, which needs neither shtab nor this package where it is used.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.streams import write_result

__all__ = ["SHELLS", "PrintCompletion", "write_completion"]

SHELLS = ("bash", "zsh", "fish")

_FOLDERS = ("BUNDLE", "DIR", "PATH_OR_HUB_ID")


class PrintCompletion(argparse.Action):
    """Prints the script for a shell, and ends the command."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            script = write_completion(parser, str(values))
        except ModuleNotFoundError as err:
            parser.exit(
                EXIT_INPUT,
                f"{parser.prog}: error: {err.name} is not installed: "
                "pip install 'pegasus-edge[completion]'\n",
            )
        write_result(f"{script}\n")
        parser.exit()


def write_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of SHELLS; marks the parser's actions on the way.

    Raises: ModuleNotFoundError.
    """
    import shtab

    for action in parser._actions:
        takes = action.metavar
        if takes == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
        elif takes in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif isinstance(takes, str) and takes.startswith("{") and action.choices is None:
            action.choices = takes.strip("{}").split(",")
    return shtab.complete(parser, shell)
