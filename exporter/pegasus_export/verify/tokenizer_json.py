"""A tokenizer.json of our making against the bundle's tokenizer, where `tokenizers` is there."""

import importlib
from collections.abc import Sequence
from typing import Any, Final

from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["first_difference"]

_TEXTS: Final = (
    "The old miller sold a red boat in March, and the mayor said: “Why not?”",
    " two  spaces, a tab\tand\r\nnewlines \n\n",
    "Cafe\u0301 Vi\u1ec7t Vie\u0323\u0302t a\u0308\u0316\u0301 o\u0302\u0323 \u1112\u1161\u11ab",
    "½ of ﬁve №7 … \uff21\uff22 ①² ™",
    "\u0001\u200bzero\u200dwidth\ufeff \u00a0and\u3000wide\u2028",
    "👨\u200d👩\u200d👧 🇩🇪 中国 العربية हिन्दी 한국어",
    "a1b2c3d4e5" * 12,
    "x < y > z <n> [CLS] ▁ \ufffd \u0378 \U000f0000",
)


def first_difference(content: bytes, ours: Tokenizer, added: Sequence[str]) -> str | None:
    """The first of a few texts whose ids are not those of `ours`.

    ours: one that parses special tokens. added: tokens that a fine-tune added. None where there is
    none, and without the library. Of pieces that score the same in two orders either is right.
    """
    try:
        library: Any = importlib.import_module("tokenizers")
    except ImportError:
        return None
    theirs = library.Tokenizer.from_str(content.decode())
    for text in (*_TEXTS, *(f"the {literal} river " for literal in added[:8])):
        ids, expected = theirs.encode(text).ids, list(ours.encode(text).token_ids)
        if ids != expected and sorted(ids) != sorted(expected):
            return text
    return None
