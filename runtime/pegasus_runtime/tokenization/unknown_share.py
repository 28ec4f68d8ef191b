"""How much of a text the vocabulary lacks: a summary of what a model cannot read is made up."""

from collections.abc import Sequence

__all__ = ["unknown_share"]


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
