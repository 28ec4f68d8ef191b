"""What a pipeline is called with: one input, a list of them, or any number that come one by one."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pegasus_runtime.errors import InputError
from pegasus_runtime.tasks.encode_documents import check_several

__all__ = ["check_texts", "in_groups"]

T = TypeVar("T")


def check_texts(name: str, given: object, *, expected: str = "a text, or several of them") -> None:
    """Whether there is anything to go through; a mapping would be its keys. Raises: InputError."""
    if isinstance(given, dict):
        raise InputError(f"{name} is dict, expected {expected}")
    check_several(name, given, expected=expected)


def in_groups(given: Iterable[T], size: int) -> Iterator[list[T]]:
    """So many at a time, read when they are asked for; the last may be fewer."""
    group: list[T] = []
    for each in given:
        group.append(each)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
