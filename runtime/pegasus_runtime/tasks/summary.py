"""A summary: text, tokens, score, and those that came after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.tasks.window import Window
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["Summary", "summary_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one document came to."""

    text: str
    """What the tokens say; `<n>` stays in it unless newlines are "original"."""
    token_ids: tuple[int, ...]
    """Without start token and padding; EOS kept."""
    score: float
    """See `Hypothesis.score`."""
    token_scores: tuple[float, ...] | None = None
    """See `Hypothesis.token_scores`."""
    truncated: bool
    """Whether the end of the document was cut off, as it was over the bundle's limit."""
    unknown_share: float = 0.0
    """Of the document's characters that were read, those that the tokenizer does not know, from 0
    to 1: from 0.2 on, the summary may well be made up."""
    control_characters: int = 0
    """Of the whole document: those that nobody sees and no model was trained to read, such as
    escape sequences, soft hyphens, and marks that turn the direction of a text."""
    looks_like_html: bool = False
    """Whether the document has tags, comments or entities of HTML, which a model reads as words."""
    seconds: float = field(default=0.0, compare=False)
    """That it took: its batch's, shared out among the documents."""
    alternatives: tuple[Summary, ...] = ()
    """The others, best first, where num_return_sequences asked for more than one."""
    windows: tuple[Window, ...] = ()
    """Where the document was over the limit and long="chunk" (docs/long-documents.md): the windows
    that were summarised, round by round. Then the text is what those of the last round kept,
    joined; token_ids are those of that text as the tokenizer reads it, with EOS; and the score is
    the mean of those of the last round's windows."""


def summary_of(
    decode: Callable[[Sequence[int]], str],
    hypotheses: Sequence[Hypothesis],
    encoding: Encoding,
    seconds: float,
) -> Summary:
    """Of a document's hypotheses, best first."""
    best, *others = [
        Summary(
            text=decode(hypothesis.token_ids),
            token_ids=hypothesis.token_ids,
            score=hypothesis.score,
            token_scores=hypothesis.token_scores,
            truncated=encoding.truncated,
            unknown_share=encoding.unknown_share,
            control_characters=encoding.control_characters,
            looks_like_html=encoding.looks_like_html,
        )
        for hypothesis in hypotheses
    ]
    return replace(best, seconds=seconds, alternatives=tuple(others))
