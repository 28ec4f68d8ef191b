"""Whatever files a folder has, a bundle's ids and text are those of transformers' AutoTokenizer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_vocab_size, write_tiny_checkpoint
from exporter.tokenizer_texts import (
    edit_json,
    oracle,
    planned,
    random_texts,
    save_again,
    tokenizer_of,
)
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS
from pegasus_runtime.tokenization.tokenizer import Tokenizer

SIZE = tiny_vocab_size()
ADDED = ("<sep>", "[NAME]", "stone bridge")
LITERALS = ("<n>", "</s>", "<pad>", "<unk_5>", "<hl>", *ADDED)
VOCABULARIES = Path(__file__).resolve().parents[4] / "shared" / "vocab"

pytest.importorskip("transformers")


def _checkpoint(folder: Path, **config: Any) -> Path:
    return write_tiny_checkpoint(folder, **{"vocab_size": SIZE + 16, **config})


def _saved(folder: Path, *, vocab_size: int = SIZE + 16, **tokens: Any) -> Path:
    return save_again(_checkpoint(folder, vocab_size=vocab_size), **tokens)


def _edited(folder: Path, edit: Callable[[dict[str, Any]], None], **config: Any) -> Path:
    """A saved one with another tokenizer.json, which transformers takes as it is."""
    _saved(folder, plain=ADDED, special=["<hl>"])
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    edit(content)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    edit_json(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend", **config)
    return folder


def _metaspace(scheme: str) -> Callable[[Path], Path]:
    def edit(content: dict[str, Any]) -> None:
        content["pre_tokenizer"]["prepend_scheme"] = scheme
        content["decoder"]["prepend_scheme"] = scheme

    return lambda folder: _edited(folder, edit)


def _as_transformers_4(content: dict[str, Any]) -> None:
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    steps = [{"type": "WhitespaceSplit"}, metaspace]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}


def _bigbird(folder: Path) -> Path:
    _edited(folder, _as_transformers_4)
    files = {name: (folder / name).read_bytes() for name in ("tokenizer.json",)}
    shutil.rmtree(folder)
    architecture = "BigBirdPegasusForConditionalGeneration"
    _checkpoint(folder, architecture=architecture)
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "tokenizer.json").write_bytes(files["tokenizer.json"])
    return folder


def _newlines_alone(content: dict[str, Any]) -> None:
    """As transformers saves a spiece.model without a map."""
    steps = [
        {"type": "Replace", "pattern": {"Regex": pattern}, "content": " "}
        for pattern in (r"\n", " {2,}")
    ]
    content["normalizer"] = {"type": "Sequence", "normalizers": steps}


def _without_map(folder: Path) -> Path:
    _saved(folder)
    edit_json(folder / "tokenizer.json", normalizer=None)
    return folder


def _legacy(folder: Path) -> Path:
    _checkpoint(folder)
    (folder / "added_tokens.json").write_text(json.dumps({"<sep>": SIZE, "[NAME]": SIZE + 1}))
    return folder


def _decoder(folder: Path) -> Path:
    def token(content: str, **flags: bool) -> dict[str, Any]:
        names = ("lstrip", "rstrip", "single_word", "normalized", "special")
        return {"content": content} | dict.fromkeys(names, False) | flags

    _checkpoint(folder)
    tokens = [
        token("<sep>", special=True),
        token("[NAME]"),
        token("<hl>", lstrip=True, rstrip=True),
        token("bridge", single_word=True, normalized=True),
    ]
    decoder = {str(SIZE + number): each for number, each in enumerate(tokens)}
    decoder[str(SIZE + 9)] = token("river")  # numbered on from the vocabulary's end all the same
    edit_json(folder / "tokenizer_config.json", added_tokens_decoder=decoder)
    return folder


def _special_tokens_map(folder: Path) -> Path:
    _checkpoint(folder)
    flags = {"lstrip": False, "rstrip": True, "normalized": False, "single_word": False}
    edit_json(
        folder / "special_tokens_map.json",
        bos_token="<sep>",
        cls_token={"content": "[NAME]", **flags},
        extra_special_tokens=["<hl>"],
    )
    return folder


def _clean(folder: Path) -> Path:
    _saved(folder)
    edit_json(folder / "tokenizer_config.json", clean_up_tokenization_spaces=True)
    return folder


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "spiece.model": _checkpoint,
    "tokenizer.json": _saved,
    "added": lambda folder: _saved(folder, plain=ADDED, special=["<hl>"]),
    "both": lambda folder: _saved(folder, plain=ADDED, special=["<hl>"], keep_spiece=True),
    "added_tokens.json": _legacy,
    "added_tokens_decoder": _decoder,
    "special_tokens_map.json": _special_tokens_map,
    "clean_up_tokenization_spaces": _clean,
    "no precompiled map": _without_map,
    "newlines alone": lambda folder: _edited(folder, _newlines_alone),
    "always": _metaspace("always"),
    "first": _metaspace("first"),
    "never": _metaspace("never"),
    "as transformers 4 saved it": lambda folder: _edited(folder, _as_transformers_4),
    "BigBirdPegasus's": _bigbird,
}


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_and_text_are_those_of_autotokenizer(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    expected, got = oracle(folder), tokenizer_of(folder, tmp_path)
    # Extra tokens take the place of <unk_5>, which is a piece of text then.
    literals = [each for each in LITERALS if each != "<unk_5>" or name != "special_tokens_map.json"]
    for text in random_texts(2000, literals):
        ids = expected(text).input_ids
        assert list(got.encode(text).token_ids) == ids, repr(text)
        decoded = expected.decode(ids, skip_special_tokens=True)
        assert got.decode(ids).lstrip() == decoded.lstrip(), repr(text)


@pytest.mark.skipif(not VOCABULARIES.is_dir(), reason="the real vocabularies are not here")
def test_ids_of_the_real_vocabulary_saved_again_are_those_of_autotokenizer(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "checkpoint", vocab_size=96120)
    shutil.copy(VOCABULARIES / "pegasus.spiece.model", folder / "spiece.model")
    tokenizer = oracle(folder)
    tokenizer.add_tokens([*ADDED, "<hl>"])
    raw = Tokenizer.load(folder / "spiece.model", PUBLISHED_TOKENIZERS["pegasus"])
    tokenizer.save_pretrained(folder)
    (folder / "spiece.model").unlink()
    got = tokenizer_of(folder, tmp_path)
    expected = oracle(folder)
    for text in random_texts(2000, LITERALS):
        assert list(got.encode(text).token_ids) == expected(text).input_ids, repr(text)
    for text in random_texts(500):
        assert got.encode(text).token_ids == raw.encode(text).token_ids, repr(text)


def test_a_spiece_model_of_the_same_vocabulary_is_taken_as_it_is(tmp_path: Path) -> None:
    _checkpoint(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    spiece = (tmp_path / "spiece.model").read_bytes()
    oracle(tmp_path).save_pretrained(tmp_path)
    (tmp_path / "spiece.model").write_bytes(spiece)
    plan = planned(tmp_path)
    assert (plan.spec, plan.content) == (PUBLISHED_TOKENIZERS["pegasus"], spiece)


def test_what_the_network_has_no_row_for_stays_text_with_a_note(tmp_path: Path) -> None:
    plan = planned(_saved(tmp_path, plain=["<sep>", "[NAME]"], vocab_size=SIZE + 1))
    assert [token.content for token in plan.spec.added_tokens] == ["<sep>"]
    assert f"the network has {SIZE + 1} rows and none for the added [NAME]: read" in plan.notes[0]


def test_special_tokens_stay_text_unless_they_are_parsed(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "checkpoint")
    got = tokenizer_of(folder, tmp_path, parse=False)
    assert not {0, 1, 2, 4} & set(got.encode("a <pad> b</s> <unk_2> <mask_1> c").token_ids[:-1])
    assert got.special_ids == set(range(106))
    assert got.special_tokens["<mask_2>"] == oracle(folder).convert_tokens_to_ids("<mask_2>")


def _change(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update({name: value})


def _change_model(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["model"].update(fields)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (_change_model(type="BPE"), r"tokenizer\.json has a model of type BPE, expected Unigram"),
        (_change_model(byte_fallback=True), "has byte_fallback, which bundles cannot do: export"),
        (_change("normalizer", {"type": "Lowercase"}), "the normalizer Lowercase, which bundles"),
        (_change("normalizer", None), "the normalizer one that keeps several spaces, which"),
        (
            _change("normalizer", {"type": "Precompiled", "precompiled_charsmap": "?"}),
            "the normalizer Precompiled that is not base64",
        ),
        (
            _change(
                "normalizer",
                {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
            ),
            r"the normalizer Replace of \('a', 'b'\), which",
        ),
        (
            _change(
                "normalizer",
                {
                    "type": "Sequence",
                    "normalizers": [
                        {"type": "Strip", "strip_left": False, "strip_right": True},
                        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
                    ],
                },
            ),
            "the normalizer Strip and added tokens that are normalized, which bundles cannot",
        ),
        (_change("pre_tokenizer", {"type": "Whitespace"}), "the pre_tokenizer Whitespace, which"),
        (_change("pre_tokenizer", None), "the pre_tokenizer none, where Metaspace is expected"),
        (
            _change(
                "pre_tokenizer", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "x"}
            ),
            "the pre_tokenizer Metaspace with prepend_scheme x, which",
        ),
        (
            _change(
                "pre_tokenizer",
                {
                    "type": "Sequence",
                    "pretokenizers": [
                        {"type": "WhitespaceSplit"},
                        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
                    ],
                },
            ),
            "the pre_tokenizer WhitespaceSplit with 'first', which",
        ),
        (_change("post_processor", {"type": "ByteLevel"}), "the post_processor ByteLevel, which"),
        (
            _change("post_processor", {"type": "TemplateProcessing", "single": []}),
            "the post_processor TemplateProcessing without one text, which",
        ),
    ],
)
def test_what_bundles_cannot_do_is_refused_by_its_name(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=match):
        planned(_edited(tmp_path, edit))


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (_change_model(vocab=["a", "b"]), "its vocabulary is no list of pieces and scores"),
        (_change_model(unk_id=None), "has no token for what the vocabulary lacks: take it"),
        (_change("added_tokens", ["<sep>"]), "its added_tokens are no list of tokens"),
        (
            _change("post_processor", {"type": "BertProcessing", "cls": ["?", 1], "sep": ["?", 2]}),
            r"tokenizer\.json has no </s>, which ends a text: take it from the model",
        ),
    ],
)
def test_a_damaged_tokenizer_json_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], match: str
) -> None:
    with pytest.raises(CheckpointError, match=match):
        planned(_edited(tmp_path, edit))


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"tokenizer_class": "XLNetTokenizer"}, UnsupportedError, "of the class XLNetTokenizer, e"),
        (
            {"offset": -1},
            CheckpointError,
            r"has offset -1, expected a number from 0 to 65535: take",
        ),
        ({"offset": 2**16}, CheckpointError, r"has offset 65536, expected a number from 0 to 6553"),
        ({"offset": 2**63 - 1}, CheckpointError, r"has offset 9223372036854775807, expected a num"),
        ({"bos_token": 5}, CheckpointError, "a token of the tokenizer is 5, expected text: take"),
        (
            {"added_tokens_decoder": {"x": {"content": "<sep>"}}},
            CheckpointError,
            "an added token has the id 'x', expected a number: take the tokenizer's files",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], match: str
) -> None:
    _checkpoint(tmp_path)
    edit_json(tmp_path / "special_tokens_map.json")
    edit_json(tmp_path / "tokenizer_config.json", **fields)
    with pytest.raises(error, match=match):
        planned(tmp_path)


def test_a_spiece_model_that_is_none_is_refused(tmp_path: Path) -> None:
    _checkpoint(tmp_path)
    (tmp_path / "spiece.model").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"spiece\.model: not a SentencePiece model: take it"):
        planned(tmp_path)


def test_pegasustokenizer_fills_the_ids_that_its_offset_says(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "checkpoint")
    edit_json(folder / "tokenizer_config.json", offset=50)
    expected, got = oracle(folder), tokenizer_of(folder, tmp_path)
    for text in random_texts(200):
        assert list(got.encode(text).token_ids) == expected(text).input_ids, repr(text)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ({"unk_token": "</s>"}, "has one token, </s>, as its unk_token and as its eos_token"),
        ({"pad_token": "<unk>"}, "has one token, <unk>, as its unk_token and as its pad_token"),
        ({"eos_token": None}, "has no eos_token, which ends a text: name it in tokenizer_config"),
    ],
)
def test_names_of_tokens_that_bundles_cannot_do_are_refused(
    tmp_path: Path, names: dict[str, Any], match: str
) -> None:
    folder = _saved(tmp_path)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | names))
    with pytest.raises((CheckpointError, UnsupportedError), match=match):
        planned(folder)
