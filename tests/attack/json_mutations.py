"""One change of a JSON document: a value by its type, an object's keys, the text itself."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

__all__ = ["mutate_json"]

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

_BIG = (2**7, 2**15, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 10**18, 10**19)
_FLOATS = (0.0, -1.0, 1e-300, 5e-324, 1e39, 1e308, -1e308, 1e18, 0.5)
_WORDS = (
    *("", "x", "x" * 300, "x" * 100_000, "\x00", "a\nb\tc", "\ud800", "é🦆", " ", "0", "null"),
    *("../../etc/passwd", "/etc/passwd", "manifest.json", ".", "..", "a/../b", "C:\\x", "auto"),
    "object",
)
_KINDS = (
    ("int8", "float16", "float32", "float64", "int64", "bfloat16", "bool", "uint8", "F32", "F16"),
    ("F32", "F16", "BF16", "F64", "I8", "I64", "BOOL", "U8", "F8_E4M3"),
    ("ort", "onnx", "trt", "trt-rtx"),
    (
        *("summarization", "feature-extraction", "text-generation"),
        *("text-classification", "question-answering"),
    ),
    ("relu", "gelu", "gelu_new", "swish", "softmax", "sigmoid", "none"),
    ("full", "block_sparse", "original_full", "hf-eval", "seeded"),
)
"""Words that can stand in each other's places."""
_CONSTANTS: tuple[Any, ...] = (None, True, False, 0, 1, -1, "", [], {}, "x", 0.5, [[]], {"": 0})


def mutate_json(
    text: str, rng: random.Random, *, often: tuple[str, ...] = ()
) -> tuple[str, Place, str]:
    """The changed text, where it differs, and in words how; () is the text as a whole.

    often: sections that half of the changes are in.
    """
    if rng.random() < 0.06:
        changed, words = _mutate_text(text, rng)
        return changed, (), words
    value = json.loads(text)
    found = [each for each in often if value.get(each)]
    first = (rng.choice(found),) if found and rng.random() < 0.5 else ()
    place = _pick_place(value, rng, first)
    parent: Any = value
    for key in place[:-1]:
        parent = parent[key]
    if rng.random() < 0.25:
        words = _mutate_entry(parent, place[-1], rng)
    else:
        before = parent[place[-1]]
        parent[place[-1]] = _mutate_value(before, list(_leaves(value)), rng)
        words = f"{_short(before)} -> {_short(parent[place[-1]])}"
    return json.dumps(value), place, f"{'.'.join(map(str, place))}: {words}"


def _pick_place(value: Any, rng: random.Random, first: Place) -> Place:
    """Sections are as likely as each other, whatever their sizes."""
    place = first
    for key in first:
        value = value[key]
    while isinstance(value, dict | list) and value:
        if place and rng.random() < 0.12:
            break
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        place, value = (*place, key), value[key]
    return place or ("",)


def _mutate_value(value: Any, others: list[Any], rng: random.Random) -> Any:
    same = [each for each in others if type(each) is type(value) and each != value]
    if same and rng.random() < 0.2:
        return rng.choice(same)
    if isinstance(value, bool) or value is None or rng.random() < 0.15:
        return rng.choice([each for each in _CONSTANTS if each is not value])
    if isinstance(value, int):
        near = (value + 1, value - 1, value + 2, value * 2, value // 2, -value, 0, 1, 3, 64, 4096)
        return rng.choice([each for each in (*near, *_BIG, -(2**63), *_FLOATS) if each != value])
    if isinstance(value, float):
        return rng.choice([*_FLOATS, *_BIG, value * 2, -value, float("nan"), float("inf")])
    kind = next((each for each in _KINDS if value in each), ())
    if kind and rng.random() < 0.7:
        return rng.choice([each for each in kind if each != value])
    if isinstance(value, str):
        return rng.choice([*_WORDS, value + " ", value.upper(), value[:-1], value + "/" + value])
    if isinstance(value, list):
        return rng.choice([[], value[1:], value + value[:1], value[::-1], [value], value * 1000])
    return rng.choice([{}, list(value.values()), dict(list(value.items())[1:]), {"x": value}])


def _mutate_entry(parent: Any, key: str | int, rng: random.Random) -> str:
    """Takes an entry away, doubles, renames or moves it."""
    if isinstance(parent, list):
        assert isinstance(key, int)
        how = rng.choice(("drop", "double", "swap"))
        other = rng.randrange(len(parent))
        if how == "drop":
            del parent[key]
        elif how == "double":
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[key], parent[other] = parent[other], parent[key]
        return how
    how = rng.choice(("drop", "rename", "add", "swap"))
    name = rng.choice([*_WORDS[:11], f"{key}_", str(key).upper()])
    if how == "drop":
        del parent[key]
    elif how == "rename":
        parent[name] = parent.pop(key)
    elif how == "add":
        parent[name] = rng.choice(_CONSTANTS)
    else:
        other_key = rng.choice(list(parent))
        parent[key], parent[other_key] = parent[other_key], parent[key]
        return f"swap with {other_key}"
    return how if how == "drop" else f"{how} {_short(name)}"


def _mutate_text(text: str, rng: random.Random) -> tuple[str, str]:
    at = rng.randrange(len(text) + 1)
    return rng.choice(
        [
            (text[:at], f"cut at {at}"),
            ("", "empty"),
            ("[" * 100_000, "100,000 brackets"),
            ('{"a":' * 5000 + "1" + "}" * 5000, "5,000 levels"),
            (text + text, "twice"),
            ("\ufeff" + text, "byte order mark"),
            (text.replace(":", ": NaN, ", 1), "NaN"),
            (text[:at] + "\x00" + text[at:], f"a NUL at {at}"),
            (text.replace("{", '{"task": 1, "task": 2,', 1), "double key"),
            ("null", "null"),
            ("[]", "a list"),
            (text.replace("1", "1" * 5000, 1), "5,000 digits"),
            (" " * 20_000_000 + text, "20 MB of spaces"),
        ]
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _leaves(child)
    else:
        yield value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 40 else f"{text[:36]}... ({len(text)} characters)"
