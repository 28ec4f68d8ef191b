"""Which documents of a batch are encoded in one run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["EncoderGroup", "group_sources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderGroup:
    """Documents `rows` of a batch, padded to `length` tokens and to a batch of `batch`."""

    rows: tuple[int, ...]
    length: int
    batch: int


def group_sources(
    lengths: Sequence[int], largest_batch: Callable[[int], int]
) -> tuple[EncoderGroup, ...]:
    """Groups documents, of which the padded lengths are given, in the order of their first.

    largest_batch: of a length, how many documents a plan takes at a time; another takes one. So
    many go together as long as more than half of the run is theirs, others alone.

    >>> [group.rows for group in group_sources([8, 8, 4, 8, 8], lambda length: 3)]
    [(0, 1, 3), (4,), (2,)]
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    groups = []
    for length, rows in by_length.items():
        batch = largest_batch(length)
        for start in range(0, len(rows), batch):
            together = tuple(rows[start : start + batch])
            if 2 * len(together) > batch:
                groups.append(EncoderGroup(rows=together, length=length, batch=batch))
            else:
                groups += [EncoderGroup(rows=(row,), length=length, batch=1) for row in together]
    return tuple(groups)
