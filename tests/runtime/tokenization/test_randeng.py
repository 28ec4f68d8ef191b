"""A vocabulary of Randeng-Pegasus loads as its bundle says; ids and text are held against the rules
in tests/exporter/tokenizer/test_randeng.py."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime.bundle import TokenizerSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.randeng import OPTIONS, Randeng, read_randeng_vocab
from pegasus_runtime.tokenization.tokenizer import Tokenizer

LINES = [
    "[PAD]",
    "[unused1]",
    "[unused2]",
    "[unused3]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "中国",
    "a",
    "人",
]
SPEC = TokenizerSpec(
    file="vocab.txt",
    kind="randeng",
    offset=0,
    unk_token_id=4,
    special_below=0,
    wordpiece=OPTIONS,
    dictionary="dictionary.txt",
)


@pytest.fixture
def vocab(tmp_path: Path) -> Path:
    (tmp_path / "dictionary.txt").write_text("2\n中\t国 2\n", encoding="utf-8")
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_a_word_is_taken_whole_and_others_in_pieces(vocab: Path) -> None:
    got = Tokenizer.load(vocab, SPEC)
    assert got.encode("中国A人☃").token_ids == (7, 8, 9, 4, 1)
    assert got.decode([7, 8, 9, 4, 2, 1, 10**6]) == "中国a人<mask_1>"


def test_an_id_without_a_token_is_unknown(vocab: Path) -> None:
    vocab.write_text("\n".join([*LINES, "b", "b"]), encoding="utf-8")
    assert Tokenizer.load(vocab, SPEC).decode([8, 10, 11]) == "a <unk> b"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_ends_at_any_newline_and_keeps_its_spaces(tmp_path: Path, end: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(end.join([*LINES, "x \u3000", ""]).encode())
    got = read_randeng_vocab(path)
    assert (got["</s>"], got["<mask_2>"], got["x \u3000"], len(got)) == (1, 3, 10, 11)


def test_newlines_of_the_original_are_none_of_randeng_s(vocab: Path) -> None:
    with pytest.raises(BundleError, match="has no piece <n>: use newlines='hf'"):
        Tokenizer.load(vocab, SPEC, newlines="original")


def test_a_vocabulary_of_another_bundle_is_refused(vocab: Path) -> None:
    match = r"vocab\.txt: has \(pad, eos, unk\) at \(0, 1, 4\), expected \(0, 1, 5\): not the"
    with pytest.raises(BundleError, match=match):
        Randeng.load(vocab, replace(SPEC, unk_token_id=5))


def test_a_vocabulary_without_its_lines_is_refused(vocab: Path) -> None:
    vocab.write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"vocab\.txt: has no line \[unused1\], which Randeng-P"):
        Randeng.load(vocab, SPEC)


def test_a_dictionary_that_is_missing_is_named(vocab: Path) -> None:
    vocab.with_name("dictionary.txt").unlink()
    with pytest.raises(BundleError, match=r"dictionary\.txt: the tokenizer cannot be read: No"):
        Randeng.load(vocab, SPEC)
    with pytest.raises(BundleError, match="its manifest names no dictionary: export again"):
        Randeng.load(vocab, replace(SPEC, dictionary=None))


def test_other_bundles_load_nothing_of_it() -> None:
    code = "import sys, pegasus_runtime.tokenization.tokenizer; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "pegasus_runtime.tokenization.wordpiece" in loaded
    assert not {each for each in loaded if each.endswith((".randeng", ".word_cutter"))}
