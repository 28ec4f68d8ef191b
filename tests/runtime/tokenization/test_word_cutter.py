"""A dictionary cuts text into its most probable words; jieba's own are held against jieba's cut in
tests/exporter/tokenizer/test_jieba_dictionary.py."""

from pathlib import Path

import pytest

from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.word_cutter import WordCutter


def cutter(
    tmp_path: Path, content: bytes = "20\n中\t 3\t国 9\t国人 0\n国\t 4\n人\t 4\n".encode()
) -> WordCutter:
    path = tmp_path / "dictionary.txt"
    path.write_bytes(content)
    return WordCutter.load(path)


def test_the_most_probable_words_are_taken(tmp_path: Path) -> None:
    assert list(cutter(tmp_path).cut("中国人")) == ["中国", "人"]
    assert list(cutter(tmp_path).cut("中中国")) == ["中", "中国"]


def test_of_equal_ways_the_longest_word_is_taken(tmp_path: Path) -> None:
    got = cutter(tmp_path, b"4\na\t 2\tb 1\nb\t 2\n")  # 2/4 * 2/4 = 1/4
    assert list(got.cut("ab")) == ["ab"]


def test_letters_stay_together_and_other_characters_stand_alone(tmp_path: Path) -> None:
    text = "abc 中+1\r\n\uff0c\n\t😀"
    words = ["abc", " ", "中", "+", "1", "\r\n", "\uff0c", "\n", "\t", "😀"]
    assert list(cutter(tmp_path).cut(text)) == words
    assert list(cutter(tmp_path).cut("")) == []


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"dictionary\.txt: begins with '', expected the sum of a dictionary's freq"),
        (b"0\na\t 1\n", "begins with '0', expected the sum of a dictionary's frequencies"),
        (b"a\t 1\n", r"begins with 'a\\t 1', expected the sum"),
        (b"1\na 1\n", r"dictionary\.txt: line 2 has no words with their frequencies: copy the"),
        (b"1\na\t x\n", "line 2 has no words with their frequencies"),
        (b"1\na\t 1\n\n", "line 3 has no words with their frequencies"),
        (b"\xff", r"dictionary\.txt: not UTF-8 \(byte 0\)"),
    ],
)
def test_a_damaged_dictionary_is_refused(tmp_path: Path, content: bytes, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        cutter(tmp_path, content)
