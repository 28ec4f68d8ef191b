"""Chinese text cut into words: the most probable ones of a dictionary with frequencies.

Words, and of equally probable ones the choice, are those of jieba 0.42's `cut(text, HMM=False)`.
The dictionary is a file of UTF-8 lines:

    60101967                the sum of all frequencies
    中\t 243191\t国 68312\t国人 2093 ...     a word's first character, then the rest of each
                            word that begins with it, a space, its frequency; in order

A line stays one text in which words are searched: a dict of them takes ten times the memory.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.wordpiece import read_lines

__all__ = ["WordCutter"]

_CUT = re.compile(r"([\u4e00-\u9fd5a-zA-Z0-9+#&._%\-]+)")
"""What is looked up; every other character is a word by itself."""
_ALONE = re.compile(r"\r\n|.", re.DOTALL)
_LETTER = re.compile("[a-zA-Z0-9]")
_LINE = re.compile(r".(?:\t[^\t ]* [0-9]+)+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordCutter:
    """A dictionary. Nothing here changes: it may be used by several threads at once."""

    _total: float = field(repr=False)
    """Logarithm of the sum of all frequencies."""
    _lines: Mapping[str, str] = field(repr=False)
    """First character -> the rest of its line."""

    @classmethod
    def load(cls, path: Path) -> "WordCutter":
        """Load a dictionary. Raises: BundleError if it is missing or is none."""
        total, *lines = read_lines(path) or [""]
        if not re.fullmatch("[0-9]{1,18}", total) or not int(total):
            raise BundleError(
                f"{path}: begins with {total[:20]!r}, expected the sum of a dictionary's "
                "frequencies: copy the bundle again, or export again"
            )
        for number, line in enumerate(lines, start=2):
            if not _LINE.fullmatch(line):
                raise BundleError(
                    f"{path}: line {number} has no words with their frequencies: copy the bundle "
                    "again, or export again"
                )
        return cls(_total=math.log(int(total)), _lines={line[0]: line[1:] + "\t" for line in lines})

    def cut(self, text: str) -> Iterator[str]:
        """The words of a text, in order; together they are the text."""
        for number, part in enumerate(_CUT.split(text)):
            yield from _ALONE.findall(part) if number % 2 == 0 else self._cut_part(part)

    def _cut_part(self, text: str) -> Iterator[str]:
        """Words of a part without spaces; letters and digits that are none stay together."""
        ends = self._best_ends(text)
        start = 0
        letters = ""
        while start < len(text):
            word = text[start : ends[start]]
            start = ends[start]
            if len(word) == 1 and _LETTER.match(word):
                letters += word
                continue
            if letters:
                yield letters
                letters = ""
            yield word
        if letters:
            yield letters

    def _best_ends(self, text: str) -> list[int]:
        """Of the word that begins at each place, where it ends on the most probable way on.

        Sums are made in jieba's order, so that they are equal to the last bit where its are; of
        equal ones the longest word counts.
        """
        ends = [0] * len(text)
        scores = [0.0] * (len(text) + 1)
        for start in range(len(text) - 1, -1, -1):
            scores[start], ends[start] = max(
                (math.log(frequency or 1) - self._total + scores[end], end)
                for end, frequency in self._words_at(text, start)
            )
        return ends

    def _words_at(self, text: str, start: int) -> list[tuple[int, int]]:
        """End and frequency of each word that begins there; the character alone if none does."""
        line = self._lines.get(text[start], "")
        found = []
        place = 0
        for end in range(start + 1, len(text) + 1):
            place = line.find(f"\t{text[start + 1 : end]}", place)
            if place < 0:
                break
            number = place + end - start
            if line[number : number + 1] == " ":  # the word itself comes before longer ones
                frequency = int(line[number + 1 : line.index("\t", number)])
                if frequency:
                    found.append((end, frequency))
        return found or [(start + 1, 0)]
