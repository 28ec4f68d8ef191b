"""A JSON value that knows where it stands in manifest.json, so that every error can say it."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pegasus_runtime.bundle.manifest import JsonValue
from pegasus_runtime.errors import BundleError

__all__ = ["MAX_DEPTH", "MAX_TEXT_BYTES", "JsonNode", "field_error", "load_json"]

T = TypeVar("T")

MAX_DEPTH = 32  # of free-form values; far below what recursion in Python bears
MAX_TEXT_BYTES = 16 * 2**20  # a real manifest has some 100 kB
MAX_DIGITS = 19  # of an int64
MAX_SHOWN_CHARS = 60
_LARGEST_SIZE = 2**31 - 1
_LARGEST_OFFSET = 2**62
_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.I)
"""Names of devices, in any folder and with any ending."""


def load_json(text: str) -> "JsonNode":
    """Parse strict JSON: no duplicate keys, no NaN or Infinity, bounded size and depth.

    Raises: BundleError.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise BundleError(
            f"manifest.json: has {len(text)} characters, expected at most {MAX_TEXT_BYTES}: "
            "export the checkpoint again"
        )
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_int64,
        )
    except RecursionError as err:
        raise BundleError("manifest.json: nested too deeply: export the checkpoint again") from err
    except ValueError as err:
        raise BundleError(f"manifest.json: not JSON: {err}: export the checkpoint again") from err
    return JsonNode(value=value, path="")


def _object_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"duplicate key {_shown(key)}")
        result[key] = value
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:MAX_SHOWN_CHARS]} is not a finite number")
    return value


def _int64(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"{text[:MAX_SHOWN_CHARS]} does not fit 64 bits")
    return int(text)


def field_error(path: str, got: str, expected: str) -> BundleError:
    """The error for a field of the wrong type or value."""
    return BundleError(
        f"manifest.json: {path or 'the whole'}: got {got}, expected {expected}: "
        "export the checkpoint again"
    )


def _is_name(part: str) -> bool:
    """Of a file, the same one on every system: Windows leaves dots and spaces at the end away."""
    return bool(part) and part[-1] not in ". " and not _OF_WINDOWS.fullmatch(part)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A parsed JSON value and its path ("limits.max_beams"); every reader may raise BundleError."""

    value: JsonValue
    path: str

    def error(self, expected: str) -> BundleError:
        """The error that says what was got here and what was expected."""
        return field_error(self.path, _shown(self.value), expected)

    def child(self, key: str) -> "JsonNode":
        """The value of `key` in this object."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        shown = key if re.fullmatch(r"[\w./-]{1,80}", key) else _shown(key)
        return JsonNode(value=self.value[key], path=f"{self.path}.{shown}" if self.path else shown)

    def expect_keys(self, names: tuple[str, ...]) -> None:
        """Check that this is an object with exactly these keys; missing ones are all named."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        missing = [name for name in names if name not in self.value]
        if missing:
            where = f"{self.path}: " if self.path else ""
            raise BundleError(
                f"manifest.json: {where}missing {', '.join(missing)}: export the checkpoint again"
            )
        for key in self.value:
            if key not in names:
                raise BundleError(
                    f"manifest.json: {self.child(key).path}: unknown field: "
                    "export the checkpoint again"
                )

    def expect_fields_of(self, cls: type) -> None:
        """Check that this is an object with the fields of a dataclass, and no others."""
        self.expect_keys(tuple(field.name for field in dataclasses.fields(cls)))

    def text(self) -> str:
        """A non-empty string of valid Unicode."""
        value = self._string()
        if not value:
            raise self.error("a non-empty string")
        return value

    def _string(self) -> str:
        if not isinstance(self.value, str):
            raise self.error("a string")
        if any("\ud800" <= char <= "\udfff" for char in self.value):
            raise self.error("a string without lone surrogates")
        return self.value

    def integer(self, minimum: int, maximum: int) -> int:
        """An integer in a range; true and false are none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < minimum:
            raise self.error(_INTEGER_NAMES.get(minimum, f"an integer of at least {minimum}"))
        if self.value > maximum:
            raise self.error(f"at most {maximum}")
        return self.value

    def positive(self) -> int:
        """An integer that is at least 1, and a size that an array may have."""
        return self.integer(1, _LARGEST_SIZE)

    def count(self, maximum: int = _LARGEST_SIZE) -> int:
        """An integer that is at least 0."""
        return self.integer(0, maximum)

    def offset(self) -> int:
        """A place in a file, or its size."""
        return self.integer(0, _LARGEST_OFFSET)

    def boolean(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.error("true or false")
        return self.value

    def choice(self, choices: tuple[T, ...]) -> T:
        """One of these strings."""
        for choice in choices:
            if isinstance(self.value, str) and self.value == choice:
                return choice
        raise self.error(f"one of {', '.join(str(choice) for choice in choices)}")

    def match(self, pattern: str, expected: str) -> str:
        """A string that matches the regular expression as a whole."""
        if not isinstance(self.value, str) or not re.fullmatch(pattern, self.value):
            raise self.error(expected)
        return self.value

    def file_path(self) -> str:
        """A relative POSIX path that stays in the folder on every system."""
        path = self.text()
        unsafe = any(char in '\\:*?"<>|' or not char.isprintable() for char in path)
        if unsafe or not all(map(_is_name, path.split("/"))):
            raise self.error('a relative path with "/", inside the folder')
        if path == "manifest.json":
            raise self.error("another file than the manifest")
        return path

    def optional(self, read: Callable[["JsonNode"], T]) -> T | None:
        """None for null, else what `read` gives."""
        return None if self.value is None else read(self)

    def sequence(self, read: Callable[["JsonNode"], T]) -> tuple[T, ...]:
        """Each item of a list through `read`."""
        if not isinstance(self.value, list):
            raise self.error("a list")
        return tuple(
            read(JsonNode(value=item, path=f"{self.path}[{index}]"))
            for index, item in enumerate(self.value)
        )

    def mapping(self, read: Callable[["JsonNode"], T]) -> dict[str, T]:
        """Each value of an object through `read`, under its key."""
        return {key: read(child) for key, child in self._items()}

    def _items(self) -> Iterator[tuple[str, "JsonNode"]]:
        if not isinstance(self.value, dict):
            raise self.error("an object")
        for key in self.value:
            child = self.child(key)
            JsonNode(value=key, path=child.path)._string()
            yield key, child

    def free(self, depth: int = 0) -> JsonValue:
        """Any JSON value, no deeper than MAX_DEPTH."""
        if depth > MAX_DEPTH:
            raise self.error(f"at most {MAX_DEPTH} levels")
        if isinstance(self.value, dict):
            return self.mapping(lambda node: node.free(depth + 1))
        if isinstance(self.value, list):
            return list(self.sequence(lambda node: node.free(depth + 1)))
        return self._string() if isinstance(self.value, str) else self.value


_INTEGER_NAMES = {0: "a non-negative integer", 1: "a positive integer"}
