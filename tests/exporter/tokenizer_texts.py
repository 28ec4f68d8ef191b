"""Texts to hold a bundle's tokenizer against transformers' on, and the folder it is made of."""

import itertools
import json
import os
import random
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.tokenizer.plan import PlannedTokenizer, plan_tokenizer
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = [
    "edit_json",
    "hard_texts",
    "oracle",
    "planned",
    "random_texts",
    "save_again",
    "tokenizer_of",
]

os.environ["HF_HUB_OFFLINE"] = "1"

_ALPHABETS: Sequence[Sequence[str]] = (
    [f" {word}" for sentence in tiny_sentences()[:60] for word in sentence.split()],
    list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
    list(".,;:!?'\"()[]{}-_/\\@#%&*+=<>|~^`$"),
    [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b"],
    list("éèüñçßøÅÉÜ½²ﬁ№™"),
    ["e\u0301", "a\u0308", "n\u0303", "o\u0302\u0323", "क\u094d"],
    list("αβγδεЖЩюяאבגدرسไทยहिन्दी"),
    list("中国日本語한국어\u3042\uff21\uff11"),
    ["😀", "👍🏽", "👨\u200d👩", "🇩🇪", "\ufe0f", "\U0001d400", "\ufffd", "\u0378"],
)


_SPACES = ["", " ", "  ", "\t", "\n", "\r\n", "\n\n", "\x0b", "\x0c", "\xa0", "\u2003", "\u3000"]
_SPACES += ["\u200b", "\u2028", "\ufeff"]
_MARKS = [chr(code) for code in range(0x300, 0x370)] + list("\u200d\ufe0f\u20e3\u0e31\u0902\u093e")
_MARKED = "aeiouxyzAEOY½…ﬁ²①™"
_COMPOSED = [chr(code) for code in (*range(0xC0, 0x250), *range(0x1E00, 0x2000))]
_COMPOSED += [chr(code) for code in range(0xAC00, 0xD7A4, 7)]
_SCRIPTS = [
    "😀",
    "👍🏽",
    "👨\u200d👩\u200d👧",
    "🇩🇪",
    "中国",
    "日本語",
    "हिन्दी",
    "ไทย",
    "한국어",
    "the",
]
_SCRIPTS += ["العربية", "مَرْحَبًا", "ﬃ", "Ⅷ", "℀", "㎏", "\uff46\uff55\uff4c\uff4c"]


def hard_texts(
    number: int, literals: Sequence[str] = (), seed: int = 0, *, is_random: bool = True
) -> list[str]:
    """Texts of every kind, most with something to read wrongly; none is whitespace alone.

    is_random: whether of code points at random, too.
    """
    draw = random.Random(seed)
    sentences = tiny_sentences()
    words = [*literals, *sentences[0].split(), *sentences[1].split()]

    def some(choices: Sequence[str], most: int) -> str:
        return "".join(draw.choice(choices) for _ in range(draw.randint(1, most)))

    def code_points(end: int) -> str:
        codes = [draw.randrange(1, end) for _ in range(12)]
        return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)

    kinds = [
        lambda: some(_SPACES, 2) + some(_SPACES, 1).join(sentences[:3]) + some(_SPACES, 4),
        lambda: unicodedata.normalize("NFD", some(_COMPOSED, 8)),
        lambda: "".join(draw.choice(_MARKED) + some(["", *_MARKS], 3) for _ in range(5)),
        lambda: some([f"{word} " for word in words], 8),
        lambda: some([*literals, *" abc<", *_SPACES], 8),
        lambda: some("abcdefghxyzABC0123456789", 300),
        lambda: (
            some(["\x01", "\x7f", "", "\u0301", *_SPACES], 3) + draw.choice(("", "a", "The\x01"))
        ),
        lambda: some([*_SCRIPTS, *_SPACES], 12),
    ]
    if is_random:
        kinds += [lambda: code_points(0x110000), lambda: code_points(0x3400)]
    texts: list[str] = []
    while len(texts) < number:
        text = kinds[len(texts) % len(kinds)]()
        texts.append(text if text.strip() else f"x{text}")
    return texts


def random_texts(number: int, literals: Sequence[str] = (), seed: int = 0) -> list[str]:
    """Texts without what the tokenizer's docstring says that transformers does otherwise."""
    draw = random.Random(seed)
    texts: list[str] = []
    while len(texts) < number:
        alphabets = [*draw.sample(_ALPHABETS, draw.randint(1, 4)), list(literals) or ["x"]]
        weights = [4] * (len(alphabets) - 1) + [1]
        text = "the" + "".join(
            draw.choice(draw.choices(alphabets, weights)[0]) for _ in range(draw.randint(1, 50))
        )
        text = re.sub(r"[\s\u200b\ufffd]+(</s>|<pad>|<mask_\d>|<unk_\d>)", r"\1", text) + "x"
        if not _has_lost_mark(text):
            texts.append(text)
    return texts


def _has_lost_mark(text: str) -> bool:
    """A mark after another, or after what NFKC or SentencePiece's map changes."""
    return any(
        unicodedata.category(mark)[0] == "M"
        and (unicodedata.category(char)[0] in "MZC" or unicodedata.normalize("NFKC", char) != char)
        for char, mark in itertools.pairwise(text)
    )


def oracle(folder: Path) -> Any:
    import transformers

    library: Any = transformers
    return library.AutoTokenizer.from_pretrained(folder)


def save_again(
    folder: Path,
    *,
    plain: Sequence[str] = (),
    special: Sequence[str] = (),
    keep_spiece: bool = False,
) -> Path:
    """As a fine-tune saves it, with added tokens: transformers 5 leaves spiece.model out."""
    tokenizer = oracle(folder)
    tokenizer.add_tokens(list(plain))
    if special:
        tokenizer.add_special_tokens({"extra_special_tokens": list(special)})
    spiece = (folder / "spiece.model").read_bytes()
    for name in ("spiece.model", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    tokenizer.save_pretrained(folder)
    if keep_spiece:
        (folder / "spiece.model").write_bytes(spiece)
    return folder


def planned(folder: Path) -> PlannedTokenizer:
    plan = plan_tokenizer(open_checkpoint(str(folder)))
    assert plan is not None
    return plan


def tokenizer_of(folder: Path, tmp_path: Path, *, parse: bool = True) -> Tokenizer:
    """The bundle's."""
    plan = planned(folder)
    path = tmp_path / plan.spec.file
    path.write_bytes(plan.content)
    if plan.spec.dictionary is not None:
        path.with_name(plan.spec.dictionary).write_bytes(plan.dictionary)
    return Tokenizer.load(path, plan.spec, parse_special_tokens=parse)


def edit_json(path: Path, **fields: Any) -> None:
    """Fields of a JSON file that change; None takes one out."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    content |= fields
    content = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(content), encoding="utf-8")
