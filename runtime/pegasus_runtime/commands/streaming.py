"""A result that is printed as it comes, by the commands that generate."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

from pegasus_runtime.command_line.signals import UnwindOnSignals
from pegasus_runtime.command_line.streams import ResultError, write_result
from pegasus_runtime.commands.console import one_line, print_record
from pegasus_runtime.tasks.generation import Generation
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary

__all__ = ["add_stream", "check_stream", "print_stream"]

_Result = TypeVar("_Result", Summary, Generation)


def add_stream(parser: argparse.ArgumentParser) -> None:
    """Whether results are printed as they come."""
    parser.add_argument(
        "--stream",
        action="store_true",
        help="print each text as it comes, one after another: with one beam token by token, with "
        "several what all of them agree on; with --json, objects with file and partial before the "
        "whole one",
    )


def check_stream(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Ends the command where --stream leaves another option without effect."""
    if arguments.stream and arguments.batch_size is not None:
        parser.error("--batch-size has no effect with --stream, which runs texts one by one")


def print_stream(
    name: str, stream: Iterator[Partial | _Result], print_json: Callable[[_Result], None] | None
) -> _Result:
    """Prints what is certain, and at last all of it, as without a stream; the result.

    name: what the text belongs to. print_json: prints the result, where objects are asked for.
    Nothing is taken back, so a text needs no terminal: it is written once, piece by piece.
    Raises: what the stream raises, the line that has begun being ended; ResultError.
    """
    shown = ""
    try:
        with ExitStack() as line:
            for part in stream:
                if not isinstance(part, Partial):
                    begun, shown = shown, ""  # the line has an end
                    return _end(part, begun, print_json)
                text = one_line(part.text)
                if len(text) > len(shown) and print_json is not None:
                    print_record({"file": name, "partial": part.text})
                elif len(text) > len(shown):
                    if not shown:  # before, a signal has nothing to end, and the encoder may run
                        line.enter_context(UnwindOnSignals())
                    # A signal that comes while it is written is raised when it is out.
                    begun, shown = shown, text
                    write_result(text[len(begun) :])
                shown = text
    except ResultError:
        raise
    except BaseException:  # a signal, too
        if shown and print_json is None:
            write_result("\n")
        raise
    raise AssertionError("a stream ends with its result")


def _end(result: _Result, shown: str, print_json: Callable[[_Result], None] | None) -> _Result:
    if print_json is not None:
        print_json(result)
    else:
        texts = [result.text, *(other.text for other in result.alternatives)]
        write_result("".join(f"{one_line(text)}\n" for text in texts)[len(shown) :])
    return result
