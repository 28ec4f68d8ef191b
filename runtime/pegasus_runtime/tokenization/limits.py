"""What to do about a document of too many tokens: which are cut, and what to say."""

from collections.abc import Mapping, Sequence

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.errors import InputError

__all__ = ["cut_longer", "over_limit"]

_LEARNED = ("bigbird_pegasus",)
"""Whose positions are weights: there are no others."""
_LONGEST: Mapping[str, int] = {"BigBirdPegasus": 4096, "PEGASUS-X": 16384}
"""Tokens that published checkpoints for long documents take."""


def cut_longer(first: int, second: int, limit: int) -> tuple[int, int]:
    """How many tokens of two texts are kept, so that they are within a limit together.

    Source: tokenizers 0.22, utils/truncation.rs (`TruncationStrategy::LongestFirst`).

    >>> cut_longer(2, 9, 8), cut_longer(9, 2, 8), cut_longer(9, 7, 9), cut_longer(9, 0, 5)
    ((2, 6), (6, 2), (5, 4), (5, 0))
    """
    if first + second <= limit:
        return first, second
    less, more = sorted((first, second))
    if less <= limit:
        more = max(less, limit - less)
    if less + more > limit:
        less = limit // 2
        more = limit - less
    return (more, less) if first > second else (less, more)


def over_limit(
    name: str,
    num_tokens: int,
    limit: int,
    *,
    model: Architecture | None,
    can_cut: bool,
    can_chunk: bool = False,
) -> InputError:
    """The error about a document, by what is true for this bundle.

    limit: the bundle's. model: whose positions a larger export can use; beyond them, learned ones
    do not exist, and computed ones the model has never seen; None if nobody knows. can_cut,
    can_chunk: whether the caller can ask for a document to be cut, or for windows of it.
    """
    got = f"{name} has {num_tokens} tokens, the bundle takes {limit}"
    ways = ["pass truncate=True (--truncate)"] if can_cut else []
    if can_chunk:
        ways = ["pass truncate=True (--truncate) or long='chunk' (--long chunk)"]
    positions = None if model is None else model.max_position_embeddings
    if model is None or positions is None:
        return _too_long(got, ways or ["split it into parts"])
    if num_tokens <= positions:
        return _too_long(got, [*ways, f"export with --max-source-tokens {num_tokens}"])
    got += ", " + _why_not_more(model, positions, limit)
    if not can_chunk:
        ways.append("split it into parts")
    longer = [each for each, most in _LONGEST.items() if max(positions, num_tokens) < most]
    if can_chunk and longer:
        ways.append(f"use a checkpoint for long documents, such as {' or '.join(longer)}")
    return _too_long(got, ways)


def _why_not_more(model: Architecture, positions: int, limit: int) -> str:
    if model.model_type in _LEARNED:
        learned = f"the {positions} positions that the model has learned"
        return learned if limit == positions else f"and {learned} are its most"
    if limit != positions:
        return f"and the model was made for {positions}"
    return "as many as the model was made for (beyond them its summaries are wrong)"


def _too_long(got: str, ways: Sequence[str]) -> InputError:
    return InputError(f"{got}: shorten it, {'or ' if len(ways) == 1 else ''}{', or '.join(ways)}")
