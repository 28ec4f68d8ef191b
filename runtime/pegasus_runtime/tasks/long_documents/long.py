"""What is done about a document over the bundle's limit, and what goes with it."""

from typing import Literal, TypeAlias, get_args

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.settings import SearchSettings

__all__ = ["Long", "check_chunk", "check_streamed", "resolve_long"]

Long: TypeAlias = Literal["error", "truncate", "chunk"]
"""It is an error, its end is cut off, or it is summarised in windows."""


def resolve_long(long: Long | None, *, truncate: bool) -> Long:
    """Of an argument and its short form. Raises: OptionsError.

    >>> resolve_long(None, truncate=True), resolve_long(None, truncate=False)
    ('truncate', 'error')
    """
    if long is None:
        return "truncate" if truncate else "error"
    if long not in get_args(Long):
        raise OptionsError(f"long is {long!r}, expected 'error', 'truncate' or 'chunk'")
    if truncate and long != "truncate":
        raise OptionsError(
            f"truncate=True stands for long='truncate', and long is {long!r}: give one of the two"
        )
    return long


def check_chunk(settings: SearchSettings) -> None:
    """Whether summaries of windows can be joined. Raises: OptionsError."""
    for name, is_set, why in (
        ("num_return_sequences above 1", settings.num_return_sequences > 1, "has no alternatives"),
        ("decoder_input_ids", settings.prompt_length > 1, "would have the prefix in each window"),
        ("token_scores", settings.token_scores, "has no tokens of its own"),
    ):
        if is_set:
            raise OptionsError(
                f"{name} and long='chunk' do not go together, as a summary joined from windows "
                f"{why}: leave one of the two out"
            )


def check_streamed(long: Long | None) -> None:
    """Raises: OptionsError."""
    if long == "chunk":
        raise OptionsError(
            "long='chunk' drops what windows say twice, and a stream takes nothing back: call "
            "summarize, or pass long='truncate'"
        )
