"""What a tokenizer.json does to a text before its Unigram model, so that it reads as SentencePiece.

Hugging Face's `Precompiled` maps SentencePiece's characters, but goes by graphemes: of one shorter
than six bytes it keeps the mapped start alone and loses the marks on it; on a longer one nothing is
composed. So marks are composed before (NFC) and set apart then. NFC also moves marks and composes
over others, SentencePiece does not: two that are no start of a composed letter are set apart first.

A token that a fine-tune added is found as it is written, in a text that is normalised as a whole:
it becomes a character of a private plane, as does the spelling that the token is looked for by.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

import sentencepiece

from pegasus_export.errors import UnsupportedError
from pegasus_runtime.bundle import AddedToken

__all__ = ["is_own_step", "normalizer_steps", "pre_tokenizer", "stand_ins"]

_APART: Final = "\u0080"  # which no map knows; one of a text is another that none knows
_UNKNOWN: Final = "\u0081"
_JOINER: Final = "\u200d"  # a space to transformers.js, whatever the map says
# Each mark, and those before it that are composed with a letter before the two are.
_CHAINS: Final[Mapping[str, str]] = {
    "\u0300": "\u0302\u0304\u0306\u0308\u0313\u0314\u031b",
    "\u0301": "\u0302\u0303\u0304\u0306\u0308\u030a\u0313\u0314\u031b\u0327",
    "\u0302": "\u0323",
    "\u0303": "\u0302\u0306\u031b",
    "\u0304": "\u0303\u0307\u0308\u0323\u0328",
    "\u0306": "\u0323\u0327",
    "\u0307": "\u0301\u030c\u0323",
    "\u0308": "\u0303\u0304",
    "\u0309": "\u0302\u0306\u031b",
    "\u030c": "\u0308",
    "\u0323": "\u031b",
    "\u0342": "\u0308\u0313\u0314",
    "\u0345": "\u0300\u0301\u0313\u0314\u0342",
    "\u0cd5": "\u0cc2",
    "\u0dca": "\u0dcf",
}
# Of those that stand below, which NFC composes over, the letters that they are composed with.
_BASES: Final[Mapping[str, str]] = {
    "\u031b": "OUou",
    "\u0323": "ABDEHIKLMNORSTUVWYZabdehiklmnorstuvwyz\u031b",
    "\u0327": "CDEGHKLNRSTcdeghklnrst",
    "\u0328": "AEIOUaeiou",
}
_TWO_MARKS: Final = r"\u0344"  # one that is two, the first of which is not composed
_FIRST_STAND_IN: Final = 0xF0000
_TAKEN: Final = "\U0010fffd"  # what one that a text has itself becomes: unknown as well


def _regex(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _escaped(chars: str) -> str:
    """As both Oniguruma and JavaScript read it."""
    return "".join(f"\\u{ord(char):04x}" for char in chars)


def _chains() -> str:
    """Between two marks of which NFC would move or compose the second."""
    others = f"(?![{_escaped(''.join(_CHAINS))}])(?=\\p{{M}})"
    known = (f"(?={_escaped(mark)})(?<!{_before(firsts)})" for mark, firsts in _CHAINS.items())
    return f"(?<=\\p{{M}})(?:{others}|{'|'.join(known)})|(?<=.)(?={_TWO_MARKS})"


def _before(marks: str) -> str:
    plain = _escaped("".join(mark for mark in marks if mark not in _BASES))
    below = (f"[{_escaped(_BASES[mark])}]{_escaped(mark)}" for mark in marks if mark in _BASES)
    return "|".join([*([f"[{plain}]"] if plain else []), *below])


_COMPOSE: Final[Sequence[Mapping[str, Any]]] = (
    _regex(_APART, _UNKNOWN),
    _regex(_chains(), _APART),
    {"type": "NFC"},
    _regex(rf"(?<=.)(?=[\p{{M}}\u200c{_JOINER}])", _APART),
)
_TOGETHER: Final = _regex(_APART, "")
_HIDE_JOINER: Final = _regex(_JOINER, _UNKNOWN)
_COLLAPSE: Final = _regex(" {2,}", " ")
_ENDS: Final = _regex(r" +(?![\s\S])", "")  # what both take for the end of a text
_TRIM: Final = {"type": "Strip", "strip_left": False, "strip_right": True}


def normalizer_steps(
    model: bytes,
    charsmap: bytes,
    tokens: Sequence[AddedToken],
    *,
    alphabet: Set[str],
    trims: bool,
) -> list[dict[str, Any]]:
    """Of a SentencePiece model. tokens: those that are found as they are written.

    alphabet: the characters of its pieces. trims: whether a space at the end of any part counts for
    nothing, and not of a text alone. Raises: UnsupportedError for what no steps can do.
    """
    normalizer = sentencepiece.SentencePieceNormalizer(model_proto=model)
    if normalizer.normalize("  a  b ") != "▁a▁b":
        raise UnsupportedError(
            "the SentencePiece model keeps several spaces, or puts none in front, which a "
            "tokenizer.json of ours does not say"
        )
    steps = list(_put_in(tokens))
    if charsmap:
        steps += _mapping(normalizer, charsmap, alphabet)
    return [*steps, dict(_COLLAPSE), dict(_TRIM if trims else _ENDS)]


def pre_tokenizer(prepend: str) -> dict[str, Any]:
    """Spaces as pieces have them. What goes over one is for the model to say, as SentencePiece's
    does."""
    return {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": prepend,
        "split": False,
    }


def is_own_step(step: Mapping[str, Any]) -> bool:
    """Whether it changes nothing that SentencePiece would not: for who reads such a file again."""
    known = step in (*_COMPOSE, _TOGETHER, _HIDE_JOINER, _ENDS)
    return known or str(step.get("content", "")) >= chr(_FIRST_STAND_IN)


def _mapping(
    normalizer: sentencepiece.SentencePieceNormalizer, charsmap: bytes, alphabet: Set[str]
) -> Iterator[dict[str, Any]]:
    def maps(text: str, expected: str) -> bool:
        return bool(normalizer.normalize(text) == f"▁{expected}")

    stand_in = f"a{_APART}{_UNKNOWN}"
    composes = (
        maps("e\u0301", "é") and maps(stand_in, stand_in) and not alphabet & set(stand_in[1:])
    )
    if composes:
        yield from map(dict, _COMPOSE)
        if maps(f"a{_JOINER}a", f"a{_JOINER}a") and _JOINER not in alphabet:
            yield dict(_HIDE_JOINER)
    text = base64.b64encode(charsmap).decode()
    yield {"type": "Precompiled", "precompiled_charsmap": text}
    if composes:
        yield dict(_TOGETHER)


def stand_ins(tokens: Sequence[AddedToken]) -> list[tuple[str, AddedToken]]:
    """The character that each becomes; longest first, as one may begin another."""
    longest_first = sorted(tokens, key=lambda token: len(token.content), reverse=True)
    return [(chr(_FIRST_STAND_IN + number), token) for number, token in enumerate(longest_first)]


def _put_in(tokens: Sequence[AddedToken]) -> Iterator[dict[str, Any]]:
    found = stand_ins(tokens)
    if found:
        yield _regex(f"[{found[0][0]}-{found[-1][0]}]", _TAKEN)
    for char, token in found:
        pattern = re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", token.content)
        if token.single_word:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        if token.lstrip:
            pattern = rf"\s*{pattern}"
        if token.rstrip:
            pattern = rf"{pattern}\s*"
        yield _regex(pattern, char)
