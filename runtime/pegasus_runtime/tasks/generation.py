"""What a prompt was continued with: text, tokens, score, and those that came after it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Generation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What one prompt came to."""

    prompt: str
    """As it was given."""
    text: str
    """What follows the prompt, a space before it included; `<n>` stays in it unless newlines are
    "original"."""
    prompt_ids: tuple[int, ...]
    """The tokens that were continued."""
    token_ids: tuple[int, ...]
    """Those that follow, without padding; EOS kept."""
    score: float
    """See `Hypothesis.score`."""
    token_scores: tuple[float, ...] | None = None
    """See `Hypothesis.token_scores`."""
    unknown_share: float = 0.0
    """Of the prompt's characters, those that the tokenizer does not know, from 0 to 1."""
    control_characters: int = 0
    """Of the whole prompt: those that nobody sees and no model was trained to read, such as
    escape sequences, soft hyphens, and marks that turn the direction of a text."""
    looks_like_html: bool = False
    """Whether the prompt has tags, comments or entities of HTML, which a model reads as words."""
    seconds: float = field(default=0.0, compare=False)
    """That it took: its batch's, shared out among the prompts."""
    alternatives: tuple[Generation, ...] = ()
    """The others, best first, where num_return_sequences asked for more than one."""
