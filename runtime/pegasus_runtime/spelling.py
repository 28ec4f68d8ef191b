"""What somebody who wrote an unknown name probably meant."""

import re
from collections.abc import Iterable, Mapping

__all__ = ["did_you_mean", "find_nearest"]

_MOST = 3
"""Names that are offered."""
_SHORT = 3
"""Letters of a word that is a part of too many names if it has fewer, and like too many (cpu, gpu)
if it has no more."""
_ALIKE = 0.6
"""Likeness, from 0 to 1, of a name that is offered; the default of difflib.get_close_matches."""
_ALMOST = 0.1
"""By how much it may be less than the best one's."""


def did_you_mean(
    given: str, known: Iterable[str], *, meanings: Mapping[str, str] | None = None
) -> str:
    """The end of an error about an unknown name; "" where no known one is near: see find_nearest.

    >>> did_you_mean("--num-beam", ["--num-beams", "--num-return-sequences", "--seed"])
    ': did you mean --num-beams?'
    """
    *first, last = find_nearest(given, known, meanings=meanings) or [""]
    names = f"{', '.join(first)} or {last}" if first else last
    return f": did you mean {names}?" if names else ""


def find_nearest(
    given: str, known: Iterable[str], *, meanings: Mapping[str, str] | None = None
) -> list[str]:
    """The known names that are nearest to the given one, if any is near: three at most.

    That is the same name in other letters; else those that it is a part of, or of whose meaning;
    else those that are spelled much like it, the likest first.
    meanings: of known names, in words.

    >>> find_nearest("tensorrt", ["ort", "trt"], meanings={"trt": "TensorRT: servers, Jetson"})
    ['trt']
    """
    word = _letters(given)
    spelled = {name: _letters(name) for name in known}
    same = [name for name, letters in spelled.items() if letters == word]
    if same or len(word) < _SHORT:
        return same
    said = {name: _letters(meaning) for name, meaning in (meanings or {}).items()}
    whole = [name for name in spelled if word in spelled[name] or word in said.get(name, "")]
    if whole or len(word) == _SHORT:
        return whole[:_MOST]
    return _find_alike(word, spelled)


def _find_alike(word: str, spelled: Mapping[str, str]) -> list[str]:
    from difflib import SequenceMatcher  # where nothing is misspelled, nobody waits for it

    likeness = {
        name: SequenceMatcher(None, word, letters).ratio() for name, letters in spelled.items()
    }
    enough = max(_ALIKE, max(likeness.values(), default=0.0) - _ALMOST)
    alike = [name for name in spelled if likeness[name] >= enough]
    return sorted(alike, key=lambda name: -likeness[name])[:_MOST]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()
