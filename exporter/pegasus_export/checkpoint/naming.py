"""Tensors in messages: how many, and the first of their names."""

from typing import Final

__all__ = ["count_names"]

_SHOWN: Final = 5


def count_names(what: str, items: list[str]) -> str:
    """`3 tensors missing: a, b, c`, cut after the first five; empty if there are none."""
    if not items:
        return ""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    noun = "tensor" if len(items) == 1 else "tensors"
    return f"{len(items)} {noun} {what}: {', '.join(items[:_SHOWN])}{more}"
