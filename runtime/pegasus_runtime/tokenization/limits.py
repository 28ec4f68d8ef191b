"""What to do about a document of too many tokens: which are cut, and what to say."""

from pegasus_runtime.errors import InputError

__all__ = ["cut_longer", "over_limit"]


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
    name: str, num_tokens: int, limit: int, *, positions: int | None, can_cut: bool
) -> InputError:
    """The error about a document, by what is true for this bundle.

    limit: the bundle's. positions: those that the model was made with: a larger export is of use up
    to there, and beyond it the model has never seen any; None if nobody knows. can_cut: whether the
    caller can ask to have it cut.
    """
    got = f"{name} has {num_tokens} tokens, the bundle takes {limit}"
    ways = ["pass truncate=True (--truncate)"] if can_cut else []
    if positions is None:
        ways.append("split it into parts")
    elif num_tokens <= positions:
        ways.append(f"export with --max-source-tokens {num_tokens}")
    else:
        same = "as many as the model was made for"
        got += f", {same}" if limit == positions else f" and the model was made for {positions}"
        ways.append("split it into parts")
    return InputError(f"{got}: shorten it, {'' if can_cut else 'or '}{', or '.join(ways)}")
