"""WordPiece: BERT's vocabulary, vocab.txt, in plain Python.

For PEGASUS networks with this vocabulary, such as uer/pegasus-base-chinese-cluecorpussmall. A
document is `prefix_token_ids` ([CLS]), its tokens, and EOS, which is [SEP]. Ids and text are those
of transformers 5.23's BertTokenizer; Chinese text has a space between its characters, as there.

Where they differ: marks and punctuation that came to Unicode after 2015 are what Python's tables
say; the tables there are of 2015 and take them for letters.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.errors import BundleError

__all__ = ["WordPiece", "WordPieceOptions", "read_vocab"]

_CONTINUES = "##"
_REMOVED = ("Cc", "Cf", "Co")
_SPACES = ("Zs", "Zl", "Zp")
_CHINESE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # sic: where the original starts at 0x2B820, tokenizers has this
    (0x2F800, 0x2FA1F),
)
_TIGHT = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPieceOptions:
    """BertTokenizer's, by its names."""

    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    """Whether each Chinese character is a word."""
    strip_accents: bool | None = None
    """None: where text is lowercased."""
    unk_token: str = "[UNK]"
    sep_token: str = "[SEP]"
    pad_token: str = "[PAD]"
    cls_token: str | None = "[CLS]"
    mask_token: str | None = "[MASK]"
    max_input_chars_per_word: int = 100
    """A longer word is unknown."""
    clean_up_tokenization_spaces: bool = False
    """Whether spaces before punctuation go from the whole of a decoded text, too; the decoder drops
    those that it would put before a token in any case."""


class WordPiece:
    """A vocabulary of words and, after `##`, their continuations.

    Nothing here changes but a cache: it may be used by several threads at once.
    """

    def __init__(self, vocab: Mapping[str, int], options: WordPieceOptions | None = None) -> None:
        """vocab: token -> id. Raises: BundleError if it lacks a token that the options name."""
        self.options = options or WordPieceOptions()
        self.size = max(vocab.values(), default=-1) + 1
        self._ids = dict(vocab)
        self._tokens = {token_id: token for token, token_id in vocab.items()}
        self.special_tokens = {token: self._id_of(token) for token in _special_names(self.options)}
        self._longest = max(len(token) for token in self._ids)
        self._characters = _Characters(self.options)

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch on the right."""
        return self._ids[self.options.pad_token]

    @property
    def prefix_token_ids(self) -> tuple[int, ...]:
        """Ids that every encoded text starts with: [CLS]."""
        cls_token = self.options.cls_token
        return () if cls_token is None else (self._ids[cls_token],)

    @property
    def eos_token_id(self) -> int:
        """Id that ends every encoded text: [SEP]."""
        return self._ids[self.options.sep_token]

    @property
    def unk_token_id(self) -> int:
        """Id of what the vocabulary lacks."""
        return self._ids[self.options.unk_token]

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        return frozenset(self.special_tokens.values())

    @property
    def has_newlines(self) -> bool:
        """Whether `<n>` is a token: never, newlines are spaces."""
        return False

    def encode(self, text: str) -> list[int]:
        """Ids of text alone: no special tokens, neither in the text nor around it."""
        return self.encode_pieces(text)[0]

    def encode_pieces(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and the characters [start, end) of the text that each stands for."""
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for word, origins in self._words(text):
            for start, end, token_id in self._pieces(word):
                ids.append(token_id)
                offsets.append((origins[start], origins[end - 1] + 1))
        return ids, offsets

    def decode(self, token_ids: Iterable[int]) -> str:
        """Text of ids, all of them; those that are no token have none."""
        text = ""
        for number, token in enumerate(
            self._tokens[each] for each in token_ids if each in self._tokens
        ):
            if number > 0:
                token = token[2:] if token.startswith(_CONTINUES) else f" {token}"
            text += _tight(token)
        if self.options.clean_up_tokenization_spaces:
            text = _tight(text, but=" do not")
        return text

    def _id_of(self, token: str) -> int:
        if token not in self._ids:
            raise BundleError(
                f"the vocabulary has no {token}, which its tokenizer_config.json names: take both "
                "from the model that the checkpoint was trained from"
            )
        return self._ids[token]

    def _words(self, text: str) -> Iterator[tuple[str, list[int]]]:
        """Words, punctuation marks and Chinese characters; of each character, its place in text."""
        word = ""
        origins: list[int] = []
        for index, char in enumerate(text):
            for each, stands_alone in self._characters[char]:
                if stands_alone and word:
                    yield word, origins
                    word, origins = "", []
                if stands_alone and each != " ":
                    yield each, [index]
                elif not stands_alone:
                    word += each
                    origins.append(index)
        if word:
            yield word, origins

    def _pieces(self, word: str) -> list[tuple[int, int, int]]:
        """(start, end, id) of the longest pieces from the left, or the unknown word as one."""
        unknown = [(0, len(word), self.unk_token_id)]
        if len(word) > self.options.max_input_chars_per_word:
            return unknown
        found = []
        start = 0
        while start < len(word):
            prefix = _CONTINUES if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                token_id = self._ids.get(prefix + word[start:end])
                if token_id is not None:
                    found.append((start, end, token_id))
                    start = end
                    break
            else:
                return unknown
        return found


def read_vocab(path: Path) -> dict[str, int]:
    """Token -> id of a vocab.txt: a token a line, the last of equal ones counts.

    Raises: BundleError.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as err:
        raise BundleError(f"{path}: the tokenizer cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise BundleError(
            f"{path}: not UTF-8 (byte {err.start}): take the checkpoint's own file"
        ) from err
    lines = text.removesuffix("\n").split("\n") if text else []
    return {line.rstrip(): token_id for token_id, line in enumerate(lines)}


def _special_names(options: WordPieceOptions) -> list[str]:
    names = (options.pad_token, options.unk_token, options.cls_token, options.sep_token)
    return [name for name in (*names, options.mask_token) if name is not None]


class _Characters(dict[str, "tuple[tuple[str, bool], ...]"]):
    """Character -> the characters that it is read as, and whether each is a word by itself.

    A space stands alone, and is no word. In the order of tokenizers' BertNormalizer: unlike in
    BERT's own code, text is lowercased last, and a character at a time (no final sigma).
    """

    def __init__(self, options: WordPieceOptions) -> None:
        strips = options.strip_accents
        self._strips = options.do_lower_case if strips is None else strips
        self._options = options

    def __missing__(self, char: str) -> tuple[tuple[str, bool], ...]:
        """Raises nothing: every character is read as something, or as none."""
        found = self[char] = tuple((each, _stands_alone(each)) for each in self._read(char))
        if self._options.tokenize_chinese_chars and _is_chinese(char):
            found = self[char] = ((" ", True), *found, (" ", True))
        return found

    def _read(self, char: str) -> str:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category in _SPACES:
            return " "
        if char in "\0\ufffd" or category in _REMOVED:
            return ""
        if self._strips:
            parts = unicodedata.normalize("NFD", char)
            char = "".join(each for each in parts if unicodedata.category(each) != "Mn")
        return "".join(each.lower() for each in char) if self._options.do_lower_case else char


def _stands_alone(char: str) -> bool:
    """Whether it is a space or punctuation, among which BERT counts every sign of ASCII."""
    if char == " " or unicodedata.category(char).startswith("P"):
        return True
    return char.isascii() and not char.isalnum()


def _is_chinese(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _CHINESE)


def _tight(text: str, but: str = "") -> str:
    for loose, tight in _TIGHT:
        if loose != but:
            text = text.replace(loose, tight)
    return text
