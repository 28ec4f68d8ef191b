"""BERT's vocabulary under a PEGASUS network: BertTokenizer's ids and text, or a refusal by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from exporter.tokenizer_texts import edit_json, oracle, planned, random_texts, tokenizer_of
from pegasus_export.errors import CheckpointError, ExportError, UnsupportedError
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.export import export_bundle

pytest.importorskip("transformers")

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = sorted({word.strip(".!,").lower() for line in tiny_sentences() for word in line.split()})
CHINESE = [chr(code) for code in range(0x4E00, 0x4E00 + 60)]
TOKENS = list(
    dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHINESE, "中", "国", *WORDS, *LETTERS]
        + [f"##{letter}" for letter in (*LETTERS, "é")]
        + [*".,!?'-<>[]", "é", "ü"]
    )
)
ADDED = ("[NAME]", "<hl>", "Stone Bridge")
IDS = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2, "bos_token_id": 2}


def _checkpoint(folder: Path, **settings: Any) -> Path:
    """As uer/pegasus-base-chinese-cluecorpussmall has its files."""
    write_tiny_checkpoint(
        folder,
        vocab_size=len(TOKENS) + 8,
        generation={**IDS, "forced_eos_token_id": 3},
        **IDS,
    )
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    fields = {"tokenizer_class": "BertTokenizer", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def _saved(folder: Path, class_name: str = "BertTokenizer", **settings: Any) -> Path:
    _checkpoint(folder, **settings)
    tokenizer = oracle(folder)
    tokenizer.add_tokens(list(ADDED))
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    edit_json(folder / "tokenizer_config.json", tokenizer_class=class_name)
    return folder


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "vocab.txt": _checkpoint,
    "cased": lambda folder: _checkpoint(folder, do_lower_case=False),
    "accents": lambda folder: _checkpoint(folder, strip_accents=False),
    "no characters apart": lambda folder: _checkpoint(folder, tokenize_chinese_chars=False),
    "clean_up": lambda folder: _checkpoint(folder, clean_up_tokenization_spaces=True),
    "tokenizer.json": _saved,
    "as it is": lambda folder: _saved(folder, "TokenizersBackend", do_lower_case=False),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_and_text_are_those_of_autotokenizer(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    expected, got = oracle(folder), tokenizer_of(folder, tmp_path)
    for text in random_texts(2000, [*ADDED, "[MASK]", "[SEP]", "don't", " do not"]):
        ids = expected(text).input_ids
        assert list(got.encode(text).token_ids) == ids, repr(text)
        assert got.decode(ids) == expected.decode(ids, skip_special_tokens=True), repr(text)


def test_a_bundle_writes_the_summary_of_transformers(tmp_path: Path) -> None:
    import transformers

    from pegasus_runtime import Summarizer

    folder = _checkpoint(tmp_path / "checkpoint")
    bundle = tmp_path / "bundle"
    export_bundle(ExportRequest(model=str(folder), output=bundle))
    library: Any = transformers
    model = library.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = oracle(folder)
    with Summarizer.load(bundle) as summarizer:
        for text in ("一丁 the old miller sold 丂 a red boat.", *tiny_sentences()[:3]):
            inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            with torch.no_grad():
                ids = model.generate(**inputs)[0].tolist()
            assert summarizer.summarize([text])[0].text == tokenizer.decode(
                ids, skip_special_tokens=True
            )


def test_vocab_txt_without_a_class_is_bert_s_where_sep_is_eos(tmp_path: Path) -> None:
    (_checkpoint(tmp_path) / "tokenizer_config.json").unlink()
    plan = planned(tmp_path)
    assert plan.notes == (
        "vocab.txt is read as BertTokenizer does, whose [SEP] is the model's EOS",
    )
    assert (plan.spec.prefix_ids, plan.spec.suffix_ids) == ((2,), (3,))


def test_vocab_txt_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    _checkpoint(tmp_path, tokenizer_class="PegasusTokenizer")
    edit_json(tmp_path / "config.json", eos_token_id=1)
    match = (
        r"a vocab\.txt whose \[SEP\] is not the EOS of config\.json, .*has a tokenizer of its own"
    )
    with pytest.raises(UnsupportedError, match=match):
        planned(tmp_path)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "without the normalizer BertNormalizer that clean"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "without the pre_tokenizer BertPreTokenizer,"),
        (
            {"model": {"type": "WordPiece", "vocab": {"a": 0}, "continuing_subword_prefix": "@"}},
            "without the continuing_subword_prefix ##, which bundles cannot do: export",
        ),
        (
            {
                "model": {
                    "type": "WordPiece",
                    "continuing_subword_prefix": "##",
                    "unk_token": "[UNK]",
                    "vocab": {token: n for n, token in enumerate([*TOKENS, "x "])},
                }
            },
            "has a WordPiece token that ends in whitespace, which bundles cannot do: export",
        ),
        ({"model": {"type": "WordPiece", "vocab": {"a": 1}}}, "does not number its tokens from 0"),
        (
            {
                "model": {
                    "type": "WordPiece",
                    "continuing_subword_prefix": "##",
                    "unk_token": "<unk>",
                    "vocab": {token: n for n, token in enumerate(TOKENS)},
                }
            },
            "the vocabulary has no <unk>, which the tokenizer needs: take its files",
        ),
    ],
)
def test_what_bundles_cannot_do_is_refused_by_its_name(
    tmp_path: Path, fields: dict[str, Any], match: str
) -> None:
    edit_json(_saved(tmp_path, "TokenizersBackend") / "tokenizer.json", **fields)
    with pytest.raises(ExportError, match=match):
        planned(tmp_path)


def test_berttokenizer_without_its_vocabulary_is_refused(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    edit_json(tmp_path / "tokenizer_config.json", tokenizer_class="BertTokenizerFast")
    with pytest.raises(
        UnsupportedError, match=r"names BertTokenizer and has neither vocab\.txt al"
    ):
        planned(tmp_path)


def test_a_vocab_txt_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (_checkpoint(tmp_path) / "vocab.txt").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match=r"vocab\.txt: not UTF-8 \(byte 0\): take the"):
        planned(tmp_path)
