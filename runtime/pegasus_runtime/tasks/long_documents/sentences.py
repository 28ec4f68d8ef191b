"""Where a text can be cut without breaking a sentence, in any language that ends them with a mark.

No list of languages and no model: the marks of many scripts, what may close behind them, and a few
abbreviations. A cut too few makes a longer sentence, one too many a shorter one; no text is lost.
"""

import re
from collections.abc import Iterator

__all__ = ["Span", "ends_wide", "split_sentences", "split_words"]

Span = tuple[int, int]
"""Characters [start, end) of a text."""

_CLOSERS = "\"'”\u2019»\u203a)]}」』\uff09】〉》"
_CLOSING = re.escape(_CLOSERS)
_UNSPACED_ENDS = "。\uff01\uff1f\uff61\uff0e"
"""Fullwidth marks, behind which there is no space."""
_WIDE = _UNSPACED_ENDS + "।॥\u06d4؟\u0589።။។༎"
"""Marks that end a sentence whatever follows."""
_END = re.compile(
    rf"(?P<wide>[{_WIDE}]+[{_CLOSING}]*)"
    rf"|(?P<mark>[.!?…]+[{_CLOSING}]*(?:[ \u00a0\u202f]»)?)(?=\s|<n>|$)"
    r"|(?P<line>(?:\s*<n>)+|\s*\n\s*\n)"
)
_ABBREVIATIONS = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "mt", "gen", "col", "lt", "sgt"),
        *("capt", "cmdr", "adm", "maj", "rep", "sen", "gov", "pres", "jr", "sr", "vs", "etc", "eg"),
        *("ie", "cf", "al", "ca", "approx", "inc", "ltd", "co", "corp", "bros", "dept", "univ"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("bzw", "usw", "ggf", "vgl", "evtl", "mme", "mlle", "sra", "dra"),
    )
)
_BEFORE_NUMBERS = frozenset(
    ("no", "nr", "nos", "art", "fig", "figs", "vol", "p", "pp", "eq", "sec", "ch", "tab")
)
_OPENING = "\"'“\u2018«„(["
_LAST_WORD = re.compile(rf"[^\s{re.escape(_OPENING)}]*\Z")


def split_sentences(text: str) -> list[Span]:
    """The sentences of a text, in order, without the space between them; [] of a blank one.

    >>> text = "Dr. Ito paid 3.5 million. “Why?” he asked. 他来了。走了。"
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Dr. Ito paid 3.5 million.', '“Why?” he asked.', '他来了。', '走了。']
    """
    is_cased = text != text.lower()
    spans, start = [], 0
    for end, following in _ends(text, is_cased):
        spans.append((start, end))
        start = following
    spans.append((start, len(text)))
    return [span for span in (_strip(text, *each) for each in spans) if span[0] < span[1]]


def split_words(text: str, start: int, end: int) -> list[Span]:
    """The words of a part of a text."""
    return [(start + at.start(), start + at.end()) for at in re.finditer(r"\S+", text[start:end])]


def ends_wide(text: str) -> bool:
    """Whether a text ends with a mark behind which its script has no space."""
    return text.rstrip(_CLOSERS)[-1:] in tuple(_UNSPACED_ENDS)


def _ends(text: str, is_cased: bool) -> Iterator[Span]:
    """Where sentences end, and where the next ones begin."""
    for found in _END.finditer(text):
        if found["line"] is not None:
            yield found.start(), found.end()
        elif found["wide"] is not None or _is_end(text, found, is_cased):
            yield found.end(), found.end()


def _is_end(text: str, found: re.Match[str], is_cased: bool) -> bool:
    """Whether a mark that may stand within a sentence ends it."""
    following = text[found.end() : found.end() + 50].lstrip(_OPENING + " \t\r\n")
    if is_cased and following[:1].islower():
        return False
    if not found["mark"].startswith(".") or found["mark"].startswith(".."):
        return True
    last = _LAST_WORD.search(text[max(0, found.start() - 30) : found.start()])
    word = "" if last is None else last[0]
    if len(word) == 1 and word.isalpha():  # an initial
        return False
    plain = word.replace(".", "").lower()
    if plain in _BEFORE_NUMBERS:
        return not following[:1].isdigit()
    # A word with full stops inside is one, too: U.S., a.m., z.B.
    return plain not in _ABBREVIATIONS and not ("." in word and plain.isalpha() and len(plain) < 4)


def _strip(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
