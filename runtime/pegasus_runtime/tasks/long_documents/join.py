"""Summaries of windows to one text, without the sentences that say again what was said."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from pegasus_runtime.tasks.long_documents.sentences import ends_wide, split_sentences

__all__ = ["drop_repeats", "join_texts", "words_of"]

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words: each counts for a word."""
_SHARE = 0.8
"""Of a sentence's trigrams that an earlier one has, for the sentence to be its repetition."""
_LINE_BREAKS = ("<n>", "\n")

Words = tuple[str, ...]


def drop_repeats(texts: Sequence[str]) -> list[str]:
    """What is left of each text without sentences that repeat one of a text before it.

    That is a sentence with the same words; or, of four words or more, one whose words all stand in
    one earlier sentence in the same order, as at least four fifths of its trigrams do. Case, space
    and punctuation count for nothing, but in numbers.

    >>> drop_repeats(["It rained on Monday, in Ely. Two fled.", "It rained on Monday. Six fled."])
    ['It rained on Monday, in Ely. Two fled.', 'Six fled.']
    """
    said, kept = _Said(), []
    for text in texts:
        spans = split_sentences(text)
        sentences = [words_of(text[start:end]) for start, end in spans]
        ends = [*(start for start, _ in spans[1:]), len(text)]
        parts = [text[start:following] for (start, _), following in zip(spans, ends, strict=False)]
        new = [not said.has(words) for words in sentences]
        left = (
            text if all(new) else "".join(p for p, is_new in zip(parts, new, strict=True) if is_new)
        )
        kept.append(_strip_lines(left))
        said.add(sentences)
    return kept


def join_texts(texts: Sequence[str]) -> str:
    """As one: line by line where the model writes lines, without spaces where the script has none.

    >>> join_texts(["One. Two.", "", "Three."]), join_texts(["One.<n>Two.", "Three."])
    ('One. Two. Three.', 'One.<n>Two.<n>Three.')
    """
    line = next((mark for mark in _LINE_BREAKS if any(mark in text for text in texts)), None)
    joined = ""
    for text in filter(None, texts):
        if joined:
            joined += line or ("" if ends_wide(joined) else " ")
        joined += text
    return joined


def words_of(sentence: str) -> Words:
    """What a sentence is compared by.

    >>> words_of('"He paid $3.5 million - 5%, not -5%!"'), words_of("他来了。")
    (('he', 'paid', '$', '3.5', 'million', '5%', 'not', '-5%'), ('他', '来', '了'))
    """
    text = unicodedata.normalize("NFKC", sentence).casefold()
    chars = []
    for place, char in enumerate(text):
        kind, before_digit = unicodedata.category(char), text[place + 1 : place + 2].isdigit()
        if kind == "Pd" and before_digit:
            chars.append("-")
        elif kind[0] == "S" or _UNSPACED.match(char):
            chars.append(f" {char} ")
        elif kind[0] in "ZC" or (kind[0] == "P" and not before_digit and char not in "%‰"):
            chars.append(" ")
        else:
            chars.append(char)
    return tuple("".join(chars).split()) or (sentence.strip(),)


class _Said:
    """The sentences of all texts so far."""

    def __init__(self) -> None:
        self.sentences: list[Words] = []
        self.known: set[Words] = set()
        self.by_trigram: dict[Words, list[int]] = defaultdict(list)

    def add(self, sentences: Sequence[Words]) -> None:
        for words in sentences:
            if words in self.known:
                continue
            self.known.add(words)
            for trigram in set(_trigrams(words)):
                self.by_trigram[trigram].append(len(self.sentences))
            self.sentences.append(words)

    def has(self, words: Words) -> bool:
        if words in self.known:
            return True
        trigrams = _trigrams(words)
        if len(trigrams) < 2:
            return False
        # An earlier sentence lacks a fifth of them at most: one of any more than that is in it.
        spare = int((1 - _SHARE) * len(trigrams) + 1e-9)
        rarest = sorted(set(trigrams), key=lambda each: len(self.by_trigram.get(each, ())))
        likely = {at for each in rarest[: spare + 1] for at in self.by_trigram.get(each, ())}
        return any(_repeats(words, trigrams, self.sentences[at]) for at in likely)


def _repeats(words: Words, trigrams: Sequence[Words], earlier: Words) -> bool:
    rest, there = iter(earlier), set(_trigrams(earlier))
    in_order = all(word in rest for word in words)
    return in_order and sum(each in there for each in trigrams) >= _SHARE * len(trigrams)


def _trigrams(words: Words) -> list[Words]:
    return [words[start : start + 3] for start in range(len(words) - 2)]


def _strip_lines(text: str) -> str:
    stripped = text.strip()
    for mark in _LINE_BREAKS:
        stripped = stripped.removeprefix(mark).removesuffix(mark).strip()
    return stripped
