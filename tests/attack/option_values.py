"""Options as a parser has them, with values that nobody should give."""

from __future__ import annotations

import argparse
import importlib
import random
from functools import cache

from attack.command_call import MODULES

__all__ = ["draw_options"]

_NUMBERS = (
    *("0", "-1", "1", "2", "33", "96", "191", "1000", "100000", "2147483647", "2147483648"),
    *("5000000000", "9223372036854775807", "9223372036854775808", "1" * 30, "-9223372036854775809"),
    *("1.5", "1e3", " 3", "٣", "0x10", "+1", "1_0", ""),
)
_REALS = (
    *("0", "-1", "1", "0.5", "2", "1e-38", "1e-45", "1e-300", "5e-324", "1e39", "1e308", "1e309"),
    *("nan", "inf", "-inf", "-0.0", "1e-7", "0.999999999", "1e18", "-1e39", "", "x", "1,5"),
)
_IDS = (
    *("1", "0", "188", "189", "-1", "2147483648", "9223372036854775808", "", ",", "1,,2", "x"),
    *("1,1,1", ",".join(map(str, range(500))), "110,120"),
)
_WORDS = ("", "x", "x" * 300, "x" * 100_000, "\udcff", "a\nb", "</s>", "auto", "true", "{}", "é🦆")
_PATHS = (
    *("", ".", "/", "/dev/null", "/dev/full", "/proc/self/mem", "x" * 300, "/dev/null/x", "~"),
    *("a\nb", "a\tb", "\udcff\udcfe", "y" * 240, "y" * 255, "../" * 2000, "loop/x"),
)
_HARMLESS = ("--help", "--version", "--print-completion", "-h")


def draw_options(command: str, rng: random.Random) -> list[str]:
    """One to three of the command's options."""
    actions = rng.sample(_actions(command), k=rng.choice((1, 1, 2, 3)))
    words = []
    for action in actions:
        option = rng.choice(action.option_strings)
        if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
            words.append(option)
        else:
            words.append(f"{option}={_draw_value(action, rng)}")
    if rng.random() < 0.05:
        words.append(rng.choice(("--", "-", "--no", "--num", "-x", "--json=1", "--threads")))
    return words


def _draw_value(action: argparse.Action, rng: random.Random) -> str:
    takes = action.metavar if isinstance(action.metavar, str) else ""
    choices = [str(each) for each in action.choices or takes.strip("{}").split(",")]
    if rng.random() < 0.06:
        return rng.choice((*_WORDS, *_NUMBERS, *_REALS, *_PATHS))
    if takes == "IDS=X":
        return f"{rng.choice(_IDS)}={rng.choice(_REALS)}"
    if takes == "N,X":
        return f"{rng.choice(_NUMBERS)},{rng.choice(_REALS)}"
    if action.choices is None and takes in ("FILE", "DIR", "PATH_OR_HUB_ID"):
        return rng.choice(_PATHS)
    values = {"N": _NUMBERS, "ID": _NUMBERS, "X": _REALS, "POINTS": _REALS, "IDS": _IDS}
    return rng.choice(values.get(takes, (*choices, *choices, "X", *_WORDS)))


@cache
def _actions(command: str) -> list[argparse.Action]:
    module = importlib.import_module(MODULES[command])
    parser = (getattr(module, "make_parser", None) or module._parser)()
    return [
        action
        for action in parser._actions
        if action.option_strings and not set(action.option_strings) & set(_HARMLESS)
    ]
