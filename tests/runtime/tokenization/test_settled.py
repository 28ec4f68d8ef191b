"""Text that is told while tokens come: each begins with the one before, and all of it with each."""

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece

from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, AddedToken, TokenizerSpec, WordPieceSpec
from pegasus_runtime.tokenization.randeng import OPTIONS
from pegasus_runtime.tokenization.settled import replace_settled, settle_end
from pegasus_runtime.tokenization.tokenizer import Tokenizer

CASES = 150
SENTENCES = (
    "He did n't go , it 's late . I 'm sure , they 've been , we 're ' not ' here ! Is n't it ?",
    "the quick brown fox <n> jumps over the lazy dog's <n> back, 3. 4 of 5.",
    "caf\u00e9 \u4e2d\u6587\u5b57 \u092e\u0947 \u0e44\u0e17\u0e22",
)
SPEC = PUBLISHED_TOKENIZERS["pegasus"]
ADDED = (
    AddedToken(content=" n", token_id=900),
    AddedToken(content="\u4e2d", token_id=901),
    AddedToken(content="<sep>", token_id=902, special=True),
    AddedToken(content="'", token_id=903),
)
WORDS = [
    *("the", "do", "not", "n't", "'", "n", "##t", "##n", "'s", "'m", "'re", "##re", "re", "m", "s"),
    *("t", "ve", "d", "ll", "##s", ".", ",", "?", "!", "-", "(", "3", "3.", "4", "##.", "12."),
    *("\u4e2d", "\u56fd", "\u3002", "\uff0c", "\u201c", "\u00e9", "##\u0301", "\u0301", "\u3000"),
    *("e", "x \u3000", "##'", "\U0001f1e9", "##\U0001f1ea", "\U0001f44d", "##\U0001f3fd"),
]


def train(folder: Path, *, byte_fallback: bool = False) -> Path:
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=writer,
        vocab_size=350 if byte_fallback else 90,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        user_defined_symbols=["<n>"],
        byte_fallback=byte_fallback,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = folder / "spiece.model"
    path.write_bytes(writer.getvalue())
    return path


def write_words(folder: Path, special: Sequence[str]) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join([*special, *WORDS]) + "\n", encoding="utf-8")
    return path


def pegasus(folder: Path) -> Tokenizer:
    return Tokenizer.load(train(folder), SPEC)


def cleaned_up(folder: Path) -> Tokenizer:
    spec = replace(SPEC, clean_up_spaces=True)
    return Tokenizer.load(train(folder), spec, newlines="original")


def bytes_and_added(folder: Path) -> Tokenizer:
    spec = replace(SPEC, clean_up_spaces=True, added_tokens=ADDED, prepend="first")
    return Tokenizer.load(train(folder, byte_fallback=True), spec)


def wordpiece(folder: Path) -> Tokenizer:
    spec = TokenizerSpec(
        file="vocab.txt",
        kind="wordpiece",
        offset=0,
        eos_token_id=3,
        unk_token_id=1,
        special_below=0,
        suffix_ids=(3,),
        clean_up_spaces=True,
        wordpiece=WordPieceSpec(),
    )
    return Tokenizer.load(write_words(folder, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), spec)


def randeng(folder: Path) -> Tokenizer:
    (folder / "dictionary.txt").write_text("2\n\u4e2d\t\u56fd 2\n", encoding="utf-8")
    special = ["[PAD]", "[unused1]", "[unused2]", "[unused3]", "[UNK]", "[CLS]", "[SEP]"]
    spec = TokenizerSpec(
        file="vocab.txt",
        kind="randeng",
        offset=0,
        unk_token_id=4,
        special_below=0,
        clean_up_spaces=True,
        wordpiece=OPTIONS,
        dictionary="dictionary.txt",
    )
    return Tokenizer.load(write_words(folder, special), spec)


@pytest.mark.parametrize("load", [pegasus, cleaned_up, bytes_and_added, wordpiece, randeng])
def test_what_is_settled_begins_every_text_that_may_come(
    load: Callable[[Path], Tokenizer], tmp_path: Path
) -> None:
    tokenizer, draw = load(tmp_path), random.Random(3)
    known = sorted(set(range(tokenizer.vocab_size)) - tokenizer.special_ids)
    told = 0
    for _ in range(CASES):
        few = draw.sample(known, 5)  # that meet again and again
        ids = [draw.choice([draw.choice(known), *few]) for _ in range(draw.randint(1, 25))]
        parts = [tokenizer.decode_settled(ids[:count]) for count in range(len(ids) + 1)]
        texts = [tokenizer.decode(ids[:count]) for count in range(len(ids) + 1)]
        for count, part in enumerate(parts):
            assert part == part.rstrip()
            for text in texts[count:]:
                assert text.startswith(part), ids
        told += len(parts[-1])
    assert told > 3 * CASES, "too much is held back"


def test_whole_texts_are_held_back_at_their_end_alone(tmp_path: Path) -> None:
    tokenizer = cleaned_up(tmp_path)
    for text in SENTENCES[:2]:
        ids = tokenizer.encode(text).token_ids
        parts = [tokenizer.decode_settled(ids[:count]) for count in range(len(ids))]
        texts = [tokenizer.decode(ids[:count]) for count in range(len(ids))]
        assert all(len(parts[i]) >= len(texts[i]) - 4 for i in range(len(ids)))


def test_a_character_of_several_bytes_comes_whole(tmp_path: Path) -> None:
    tokenizer = bytes_and_added(tmp_path)
    ids = tokenizer.encode("the \U0001f980 fox").token_ids
    parts = [tokenizer.decode_settled(ids[:count]) for count in range(len(ids) + 1)]
    assert "the \U0001f980 fox" in parts
    assert not any("\ufffd" in part for part in parts)


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("did n", "did"),
        ("did n'", "did"),
        ("did n't", "didn't"),
        ("did no", "did no"),
        ("it ' ", "it"),  # the space may go with a full stop
        ("it '", "it"),
        ("it ' x", "it'x"),
        ("late .", "late."),
        ("late  ", "late"),
        ("a<", "a"),
        ("a<n", "a"),
        ("a<n>b", "a\nb"),
    ],
)
def test_what_may_be_replaced_is_held_back(text: str, settled: str) -> None:
    pairs = [(" .", "."), (" ' ", "'"), (" n't", "n't"), (" 's", "'s"), ("<n>", "\n")]
    assert replace_settled(text, pairs) == settled


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("", ""),
        ("fox \n ", "fox"),
        ("fox", "fox"),
        ("caf\u00e9", "caf"),
        ("caf\u00e9s", "caf\u00e9s"),
        ("a e\u0301\u0308", "a"),
        ("see \U0001f44d\U0001f3fd", "see"),
        ("see \U0001f468\u200d\U0001f469", "see"),
        ("see \U0001f468\u200d", "see"),
        ("see \U0001f1e9\U0001f1ea", "see"),
        ("\u0301", ""),
        ("\u4e2d\u6587", "\u4e2d"),
    ],
)
def test_a_character_that_may_grow_is_held_back(text: str, settled: str) -> None:
    assert settle_end(text) == settled
