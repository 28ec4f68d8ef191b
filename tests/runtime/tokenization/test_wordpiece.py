"""BERT's vocabulary gives the ids, the offsets and the text of transformers' BertTokenizer."""

import json
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime.bundle import AddedToken, TokenizerSpec, WordPieceSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from pegasus_runtime.tokenization.wordpiece import WordPiece, read_vocab

SPECIAL = ["[PAD]", *(f"[unused{index}]" for index in range(1, 100)), "[UNK]", "[CLS]", "[SEP]"]
CHINESE = [chr(code) for code in range(0x4E00, 0x9FA6, 3)]
ASCII_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
MARKS = [*ASCII_MARKS, *"\u3002\u3001\uff0c\uff01\u201c\u201d\u2026\u2014\u00b7"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789")
LATIN = "the of and to un ##aff ##able ##ing cafe naive hello world do not don A B C ##A é ##é"
SCRIPTS = (
    "\u03b1 ##\u03b1 \u03c3 ##\u03c3 \u03c2 \u0438 ##\u0438 \u304b ##\u304c \u1100 ##\u1161 "
    "\u4e2d\u56fd \U0001f600 ##\U0001f600 \u00bd"
)
WORDS = [*LATIN.split(), *SCRIPTS.split(), "'s", "'ve", "'re", "n't", "'m", "do##not"]
ALPHABETS: tuple[list[str], ...] = (
    CHINESE,
    [chr(code) for code in range(0x4E00, 0xA000)],
    list("abcdefghij klmnop qrstu vwxyz"),
    list("ABC DEF GHI"),
    list("éèüñçÅ\u01c5\u0130\u03a3\u03c2\u03c3\u1e9e\ufb01½㎏\u2167\u2460"),
    list("\u0301\u0308\u0327\u20dd\u0489"),
    list("😀👍🏽👨\u200d👩🇩🇪\ufe0f"),
    [chr(code) for code in range(32)],
    list(" \t\n\r\u00a0\u3000\u2003\u2028\u2029\u200b\ufeff\x85\x0b\x0c\u1680\u202f\u00ad"),
    MARKS,
    [f"{word} " for word in WORDS],
    [
        "한국어",
        "か",
        "ｶﾞ",
        "ไทย",
        "हिन्दी",
        "עברית",
        "العربية",
        "\ufffd",
        "\ue000",
        "\ufdd0",
        "\u0378",
    ],
    ["𠀀", "[MASK]", "[UNK]", "[CLS]"],
    ["a" * 100, "a" * 101, "é" * 101, "e\u0301" * 60],
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"do_lower_case": False},
    {"do_lower_case": False, "strip_accents": True},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
)


def tokens() -> list[str]:
    pieces = [piece for letter in LETTERS for piece in (letter, f"##{letter}")]
    return list(dict.fromkeys([*SPECIAL, "[MASK]", *CHINESE, *pieces, *MARKS, *WORDS]))


def vocab() -> dict[str, int]:
    return {token: token_id for token_id, token in enumerate(tokens())}


def bert_spec(
    *, added: Sequence[AddedToken] = (), clean_up_spaces: bool = False, **options: Any
) -> TokenizerSpec:
    return TokenizerSpec(
        file="vocab.txt",
        kind="wordpiece",
        offset=0,
        eos_token_id=102,
        unk_token_id=100,
        special_below=0,
        prefix_ids=(101,),
        suffix_ids=(102,),
        added_tokens=tuple(added),
        clean_up_spaces=clean_up_spaces,
        wordpiece=WordPieceSpec(**options),
    )


def random_text(draw: random.Random) -> str:
    alphabets = draw.sample(ALPHABETS, draw.randint(1, 4))
    return "".join(draw.choice(draw.choice(alphabets)) for _ in range(draw.randint(1, 60)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose network is PEGASUS, and whose vocabulary is BERT's."""
    folder = tmp_path_factory.mktemp("bert-vocabulary")
    (folder / "vocab.txt").write_text("\n".join(tokens()) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "pegasus"}))
    return folder


def oracle(checkpoint: Path, options: Mapping[str, Any]) -> Any:  # transformers is untyped
    transformers = pytest.importorskip("transformers")
    settings = {"tokenizer_class": "BertTokenizer", **options}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    return transformers.AutoTokenizer.from_pretrained(checkpoint)


@pytest.mark.parametrize("options", OPTIONS)
def test_ids_and_offsets_are_those_of_berttokenizer(
    checkpoint: Path, options: Mapping[str, Any]
) -> None:
    expected = oracle(checkpoint, options)
    got = WordPiece(read_vocab(checkpoint / "vocab.txt"), WordPieceSpec(**options))
    assert got.size == len(expected)
    draw = random.Random(1)
    for _ in range(2000):
        text = random_text(draw)
        found = expected(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=True,  # text is text
        )
        assert got.encode_pieces(text) == (found.input_ids, found.offset_mapping), repr(text)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_tokenizer_reads_and_writes_as_berttokenizer_added_tokens_too(
    checkpoint: Path, options: Mapping[str, Any]
) -> None:
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    added = [
        {"content": "[NAME]", "special": False, **flags},
        {"content": "Ünd ", "special": False, **flags, "normalized": True},
        {"content": "<hl>", "special": True, **flags, "lstrip": True},
        {"content": "中ab", "special": False, **flags, "normalized": True},
    ]
    size = len(tokens())
    decoder = {str(size + number): token for number, token in enumerate(added)}
    expected = oracle(checkpoint, {**options, "added_tokens_decoder": decoder})
    spec = bert_spec(
        added=[AddedToken(token_id=size + number, **each) for number, each in enumerate(added)],
        **options,
    )
    got = Tokenizer.load(checkpoint / "vocab.txt", spec, parse_special_tokens=True)
    assert got.vocab_size == len(expected)
    draw = random.Random(4)
    literals = [token["content"] for token in added]
    for _ in range(2000):
        text = f"the {random_text(draw)}{draw.choice(literals)}{random_text(draw)}"
        ids = expected(text).input_ids
        assert list(got.encode(text).token_ids) == ids, repr(text)
        assert got.decode(ids) == expected.decode(ids, skip_special_tokens=True), repr(text)


def test_original_newlines_are_none_of_bert_s(checkpoint: Path) -> None:
    with pytest.raises(BundleError, match="has no piece <n>: use newlines='hf'"):
        Tokenizer.load(checkpoint / "vocab.txt", bert_spec(), newlines="original")


def test_a_vocabulary_of_another_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]))
    match = r"vocab\.txt: has \(pad, unk\) at \(1, 0\), expected \(0, 100\): not the vocabulary"
    with pytest.raises(BundleError, match=match):
        Tokenizer.load(path, bert_spec())


def test_a_saved_tokenizer_json_has_the_same_ids(checkpoint: Path, tmp_path: Path) -> None:
    options = {"do_lower_case": False}
    oracle(checkpoint, options).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "pegasus"}))
    transformers = pytest.importorskip("transformers")
    expected = transformers.AutoTokenizer.from_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    got = WordPiece(saved, WordPieceSpec(do_lower_case=False))
    draw = random.Random(2)
    for _ in range(300):
        text = random_text(draw)
        found = expected(text, split_special_tokens=True).input_ids
        assert [101, *got.encode(text), 102] == found, repr(text)


@pytest.mark.parametrize("options", [{}, {"clean_up_tokenization_spaces": True}])
def test_decoded_text_is_that_of_berttokenizer(
    checkpoint: Path, options: Mapping[str, Any]
) -> None:
    expected = oracle(checkpoint, options)
    tidy = bool(options.get("clean_up_tokenization_spaces"))
    got = Tokenizer.load(checkpoint / "vocab.txt", bert_spec(clean_up_spaces=tidy))
    some = [vocab()[token] for token in (*WORDS, *"?!.,'", *CHINESE[:20])]
    draw = random.Random(3)
    for _ in range(2000):
        ids = [
            draw.choice(some) if draw.random() < 0.8 else draw.randrange(got.vocab_size)
            for _ in range(draw.randint(0, 20))
        ]
        assert got.decode(ids) == expected.decode(ids, skip_special_tokens=True), ids


def test_special_tokens_are_bert_s(checkpoint: Path) -> None:
    got = WordPiece(vocab())
    assert got.unk_token_id == 100
    assert got.special_ids == {0, 100, 101, 102, 103}
    assert got.special_tokens["[MASK]"] == 103
    assert not got.has_newlines
    expected = oracle(checkpoint, {})
    assert got.special_ids == set(expected.all_special_ids)
    assert expected("hello").input_ids == [101, *got.encode("hello"), 102]


def test_text_is_text_whatever_it_spells() -> None:
    got = WordPiece(vocab())
    assert not got.special_ids - {100} & set(got.encode("[PAD][CLS] [SEP] [MASK]"))


def test_a_word_and_what_the_vocabulary_lacks_have_their_characters() -> None:
    ids, offsets = WordPiece(vocab()).encode_pieces("Unaffable ☃☃  \u4e01")
    known = vocab()
    assert ids == [known["un"], known["##aff"], known["##able"], 100, 100]
    assert offsets == [(0, 2), (2, 5), (5, 9), (10, 12), (14, 15)]


def test_a_vocabulary_may_be_without_cls_and_mask() -> None:
    got = WordPiece(vocab(), WordPieceSpec(cls_token=None, mask_token=None))
    assert got.special_ids == {0, 100, 102}


def test_ids_that_are_no_token_have_no_text() -> None:
    assert WordPiece(vocab()).decode([vocab()["hello"], 10**6, -1, vocab()["world"]]) == (
        "hello world"
    )


def test_threads_may_share_a_vocabulary() -> None:
    got = WordPiece(vocab())
    texts = [random_text(random.Random(seed)) for seed in range(100)]
    expected = [WordPiece(vocab()).encode(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(got.encode, texts)) == expected


@pytest.mark.parametrize("name", ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"])
def test_a_special_token_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(BundleError, match="the vocabulary has no <gone>, which its"):
        WordPiece(vocab(), WordPieceSpec(**{name: "<gone>"}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"a\nb\n", {"a": 0, "b": 1}),
        (b"a\r\nb", {"a": 0, "b": 1}),
        (b"a\n\nb\n", {"a": 0, "": 1, "b": 2}),
        (b"a\nb\na\n", {"a": 2, "b": 1}),
        ("中\n##\u2028x\n".encode(), {"中": 0, "##\u2028x": 1}),
    ],
)
def test_a_vocabulary_has_a_token_a_line(
    tmp_path: Path, data: bytes, expected: Mapping[str, int]
) -> None:
    (tmp_path / "vocab.txt").write_bytes(data)
    assert read_vocab(tmp_path / "vocab.txt") == expected


def test_a_vocabulary_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"vocab\.txt: the tokenizer cannot be read: No such"):
        read_vocab(tmp_path / "vocab.txt")


def test_a_vocabulary_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(BundleError, match=r"vocab\.txt: not UTF-8 \(byte 2\): take the checkpoint"):
        read_vocab(tmp_path / "vocab.txt")
