"""A question and a long text as windows that overlap, as transformers' fast tokenizers cut them.

Source: tokenizers 0.22, utils/truncation.rs and tokenizer/encoding.rs (`Encoding::truncate`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.tokenization.tokenizer import Pieces

__all__ = ["Token", "find_tokens", "window_ranges"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The characters [start, end) of the text that a token stands for, and its word's number."""

    start: int
    end: int
    word: int


def window_ranges(
    question: int, text: int, *, max_tokens: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Which tokens [first, after the last) of the text each window has.

    question, text: how many tokens they have; a window has the question, its part of the text and
    EOS. Raises: OptionsError for a question that leaves no room, and for too much overlap.
    """
    room = max_tokens - 1 - question
    if text <= room:
        yield 0, text
        return
    if room < 1:
        raise OptionsError(
            f"max_seq_len is {max_tokens}, the question alone has {question} tokens: raise "
            "max_seq_len, or shorten the question"
        )
    if overlap >= room:
        raise OptionsError(
            f"doc_stride is {overlap}, a window has room for {room} tokens of the text: lower "
            "doc_stride, or raise max_seq_len"
        )
    for start in range(0, text, room - overlap):
        end = min(start + room, text)
        yield start, end
        if end == text:
            return


def find_tokens(text: str, pieces: Pieces) -> list[Token]:
    """Of each piece, its characters without the space that it brings along; words lie between
    spaces. A piece that is nothing but that space stands for the character after it."""
    tokens: list[Token] = []
    word = -1
    for start, end in pieces.offsets:
        passage = text[start:end]
        if not tokens or passage[:1].isspace():
            word += 1
        start += len(passage) - len(passage.lstrip())
        tokens.append(Token(start=start, end=max(end, min(start + 1, len(text))), word=word))
    return tokens
