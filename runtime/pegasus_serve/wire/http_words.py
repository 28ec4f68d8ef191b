"""What the runtime says to callers in Python and at a shell, in words of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["in_http_words"]

_WORDS: Mapping[str, str] = {
    "pass truncate=True (--truncate) or long='chunk' (--long chunk)": (
        'set long to "truncate" or "chunk"'
    ),
    "pass truncate=True (--truncate)": 'set long to "truncate"',
    "call summarize, or pass long='truncate'": 'leave stream out, or set long to "truncate"',
    "long='chunk'": 'long "chunk"',
    "set do_sample=True with num_beams=1": "set do_sample to true and num_beams to 1",
    "set do_sample=True": "set do_sample to true",
    "clean the text, or raise max_unknown (--max-unknown)": (
        "or clean the text; the limit is the server's --max-unknown"
    ),
    "submit fewer documents at once": "send fewer documents at once",
}
"""Longer ones before what they begin with."""
_TIMES: Mapping[re.Pattern[str], str] = {
    re.compile(r"within \S+ s, waiting included: allow more time"): (
        "in time, waiting included: allow more with timeout_s"
    ),
    re.compile(r"took longer than \S+ s: allow more time"): (
        "took longer than it may: allow more with timeout_s"
    ),
}
"""What was left of a request's time when the runtime got it says nothing to who gave that time."""


def in_http_words(message: str) -> str:
    """The same, for a client that has neither Python's arguments nor a command line.

    >>> in_http_words("text has 9 tokens, the bundle takes 8: or pass truncate=True (--truncate)")
    'text has 9 tokens, the bundle takes 8: or set long to "truncate"'
    """
    for words, http_words in _WORDS.items():
        message = message.replace(words, http_words)
    for times, http_words in _TIMES.items():
        message = times.sub(http_words, message)
    return message
