"""jieba's dictionary in a bundle cuts text into the words of jieba itself."""

import random
import sys
from pathlib import Path

import pytest

from exporter.real_jieba import cut_by_jieba, load_jieba
from pegasus_export.errors import UnsupportedError
from pegasus_export.tokenizer.jieba_dictionary import dictionary_of_jieba, write_dictionary
from pegasus_runtime.tokenization.word_cutter import WordCutter


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> WordCutter:
    path = tmp_path_factory.mktemp("jieba") / "dictionary.txt"
    path.write_bytes(dictionary_of_jieba(path)[0])
    return WordCutter.load(path)


def test_words_are_those_of_jieba(cutter: WordCutter) -> None:
    words = [word for word, frequency in load_jieba().FREQ.items() if frequency]
    alphabets = (
        words,
        [word for word in words if len(word) <= 2],
        [chr(code) for code in range(0x4E00, 0xA000)],
        list("abcXYZ019+#&._%-"),
        [word for word in words if word[0].isascii()],
        [*" \n\r\t\uff0c\u3002\uff01\u300a()<>[]@$^", "\r\n"],
        ["😀", "é", "\uff41", "\uff11", "<mask_1>", "\u2028", "한", "\U00020000", "\0"],
    )
    draw = random.Random(0)
    for _ in range(2000):
        chosen = draw.sample(alphabets, draw.randint(1, 5))
        text = "".join(draw.choice(draw.choice(chosen)) for _ in range(draw.randint(0, 60)))
        assert list(cutter.cut(text)) == cut_by_jieba(text), repr(text)


def test_a_word_that_is_listed_twice_counts_as_in_jieba(tmp_path: Path) -> None:
    content = write_dictionary([("ab", 3), ("a", 4), ("abc", 0), ("b", 1), ("ab", 5)])
    assert content == b"13\na\t 4\tb 5\tbc 0\nb\t 1\n"
    (tmp_path / "dictionary.txt").write_bytes(content)
    assert list(WordCutter.load(tmp_path / "dictionary.txt").cut("abcb")) == ["ab", "cb"]


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UnsupportedError, match=r"jieba, which is not installed: pip install 'peg"):
        dictionary_of_jieba(tmp_path)
