"""How much of a text the vocabulary lacks: a summary of what a model cannot read is made up."""

from collections.abc import Sequence
from numbers import Real

from pegasus_runtime.errors import InputError, OptionsError

__all__ = ["check_max_unknown", "over_max_unknown", "unknown_share"]


def check_max_unknown(share: object) -> None:
    """Whether it is a share, or None for no limit. Raises: OptionsError."""
    if share is None:
        return
    is_number = isinstance(share, Real) and not isinstance(share, bool)
    if not (is_number and 0 <= float(share) <= 1):  # type: ignore[arg-type]
        raise OptionsError(
            f"max_unknown is {share!r}, expected a share from 0 to 1, such as 0.2, or None"
        )


def over_max_unknown(share: float, limit: float) -> InputError:
    """The error about a text of which too much is unknown."""
    return InputError(
        f"the tokenizer does not know {share:.1%} of the text's characters, max_unknown is "
        f"{limit:.1%}: use a model of its language, clean the text, or raise max_unknown "
        "(--max-unknown)"
    )


def unknown_share(
    text: str, token_ids: Sequence[int], offsets: Sequence[tuple[int, int]], unk_token_id: int
) -> float:
    """Of the characters that the tokens stand for, spaces aside, the share in unknown ones.

    From 0 to 1. By characters, not tokens: SentencePiece makes one token of a whole run of
    characters that its vocabulary lacks, so that 400 Chinese ones may be a single token.
    """
    unknown = known = 0
    for token_id, (start, end) in zip(token_ids, offsets, strict=True):
        count = len("".join(text[start:end].split()))
        if token_id == unk_token_id:
            unknown += count
        else:
            known += count
    return unknown / max(1, unknown + known)
