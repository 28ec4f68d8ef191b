"""WordPiece: BERT's vocabulary, vocab.txt, in plain Python.

For PEGASUS networks with this vocabulary, such as uer/pegasus-base-chinese-cluecorpussmall. A
document is [CLS], its tokens, and EOS, which is [SEP]. Ids and text are those of transformers
5.23's BertTokenizer; Chinese text has a space between its characters, as there.

Where they differ: marks and punctuation that came to Unicode after 2015 are what Python's tables
say; the tables there are of 2015 and take them for letters.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.bundle.tokenizer_spec import TokenizerSpec, WordPieceSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.bounded_file import MAX_VOCABULARY_BYTES, read_bounded
from pegasus_runtime.tokenization.vocabulary import Offsets

__all__ = [
    "BERTS_OWN",
    "CONTINUES",
    "CharacterRules",
    "WordPiece",
    "read_lines",
    "read_vocab",
    "stands_alone",
]

CONTINUES = "##"
_SPACES = ("Zs", "Zl", "Zp")
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
class CharacterRules:
    """What is left out of a text, by its categories, and where Chinese extension E begins."""

    removed: tuple[str, ...]
    extension_e: int

    def is_chinese(self, char: str) -> bool:
        """Whether it is a character of a text without spaces: neither kana nor hangul."""
        code = ord(char)
        return any(first <= code <= last for first, last in _CHINESE) or (
            self.extension_e <= code <= 0x2CEAF
        )


_CHINESE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2F800, 0x2FA1F),
)
BERTS_OWN = CharacterRules(removed=("Cc", "Cf", "Cn", "Co", "Cs"), extension_e=0x2B820)
"""Those of BERT's own code, and of what was made from it."""
_TOKENIZERS = CharacterRules(removed=("Cc", "Cf", "Co"), extension_e=0x2B920)  # sic


class WordPiece:
    """A vocabulary of words and, after `##`, their continuations.

    Nothing here changes but a cache: it may be used by several threads at once.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        options: WordPieceSpec | None = None,
        rules: CharacterRules = _TOKENIZERS,
    ) -> None:
        """vocab: token -> id. Raises: BundleError if it lacks a token that the options name."""
        self.options = options or WordPieceSpec()
        self.size = max(vocab.values(), default=-1) + 1
        self._ids = dict(vocab)
        self._tokens = {token_id: token for token, token_id in vocab.items()}
        self.special_tokens = {token: self._id_of(token) for token in _special_names(self.options)}
        self.unk_token_id = self._ids[self.options.unk_token]
        self._longest = max(len(token) for token in self._ids)
        self._characters = _Characters(self.options, rules)

    @classmethod
    def load(cls, path: Path, spec: TokenizerSpec) -> "WordPiece":
        """Load vocab.txt. Raises: BundleError if it is missing, or has other special tokens."""
        options = spec.wordpiece or WordPieceSpec()
        found = cls(read_vocab(path), options)
        got = (found.special_tokens[options.pad_token], found.unk_token_id)
        if got != (spec.pad_token_id, spec.unk_token_id):
            raise BundleError(
                f"{path}: has (pad, unk) at {got}, expected "
                f"{(spec.pad_token_id, spec.unk_token_id)}: not the vocabulary of this bundle"
            )
        return found

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        return frozenset(self.special_tokens.values())

    @property
    def has_newlines(self) -> bool:
        """Whether `<n>` is a token: never, newlines are spaces."""
        return False

    def encode(self, text: str, *, starts: bool = True, ends: bool = True) -> list[int]:
        """Ids of plain text: no special tokens, neither in the text nor around it."""
        return self.encode_pieces(text)[0]

    def encode_pieces(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """Ids, and the characters [start, end) of the text that each stands for."""
        return self._encode(text, self._characters)

    def normalize(self, text: str) -> tuple[str, list[int]]:
        """Text without control characters and accents, in lower case, as the options say."""
        read = [
            (each, index) for index, char in enumerate(text) for each, _ in self._characters[char]
        ]
        return "".join(each for each, _ in read), [*(index for _, index in read), len(text)]

    def encode_normalized(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """As `encode_pieces`, of a part of what `normalize` gave."""
        return self._encode(text, {char: ((char, stands_alone(char)),) for char in set(text)})

    def decode(self, tokens: Sequence[int | str]) -> str:
        """Text of ids and of literals between them; ids that are no token have none."""
        text = ""
        known = [
            each if isinstance(each, str) else self._tokens[each]
            for each in tokens
            if isinstance(each, str) or each in self._tokens
        ]
        for number, token in enumerate(known):
            if number > 0:
                token = token[2:] if token.startswith(CONTINUES) else f" {token}"
            text += _tight(token)
        return text

    def decode_settled(self, tokens: Sequence[int | str]) -> str:
        """The text: each token's is its own, whatever follows."""
        return self.decode(tokens)

    def _encode(self, text: str, characters: "_Readings") -> tuple[list[int], Offsets]:
        ids: list[int] = []
        offsets: Offsets = []
        for word, origins in _words(text, characters):
            for start, end, token_id in self._pieces(word):
                ids.append(token_id)
                offsets.append((origins[start], origins[end - 1] + 1))
        return ids, offsets

    def _id_of(self, token: str) -> int:
        if token not in self._ids:
            raise BundleError(
                f"the vocabulary has no {token}, which its tokenizer_config.json names: take both "
                "from the model that the checkpoint was trained from"
            )
        return self._ids[token]

    def _pieces(self, word: str) -> list[tuple[int, int, int]]:
        """(start, end, id) of the longest pieces from the left, or the unknown word as one."""
        unknown = [(0, len(word), self.unk_token_id)]
        if len(word) > self.options.max_input_chars_per_word:
            return unknown
        found = []
        start = 0
        while start < len(word):
            prefix = CONTINUES if start else ""
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
    return {line.rstrip(): token_id for token_id, line in enumerate(read_lines(path))}


def read_lines(path: Path) -> list[str]:
    """The lines of a tokenizer's file, which end at newlines alone. Raises: BundleError."""
    try:
        text = read_bounded(path, MAX_VOCABULARY_BYTES).decode("utf-8")
    except OSError as err:
        raise BundleError(f"{path}: the tokenizer cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise BundleError(
            f"{path}: not UTF-8 (byte {err.start}): take the checkpoint's own file"
        ) from err
    return text.removesuffix("\n").split("\n") if text else []


def _words(text: str, characters: "_Readings") -> Iterator[tuple[str, list[int]]]:
    """Words, punctuation marks and Chinese characters; of each character, its place in text."""
    word = ""
    origins: list[int] = []
    for index, char in enumerate(text):
        for each, is_alone in characters[char]:
            if is_alone and word:
                yield word, origins
                word, origins = "", []
            if is_alone and each != " ":
                yield each, [index]
            elif not is_alone:
                word += each
                origins.append(index)
    if word:
        yield word, origins


def _special_names(options: WordPieceSpec) -> list[str]:
    names = (options.pad_token, options.unk_token, options.cls_token, options.sep_token)
    return [name for name in (*names, options.mask_token) if name is not None]


_Readings = Mapping[str, tuple[tuple[str, bool], ...]]
"""Character -> the characters that it is read as, and whether each is a word by itself."""


class _Characters(dict[str, tuple[tuple[str, bool], ...]]):
    """The readings of a raw text's characters, as they are met.

    A space stands alone, and is no word. In the order of tokenizers' BertNormalizer: unlike in
    BERT's own code, text is lowercased last, and a character at a time (no final sigma).
    """

    def __init__(self, options: WordPieceSpec, rules: CharacterRules) -> None:
        strips = options.strip_accents
        self._strips = options.do_lower_case if strips is None else strips
        self._options = options
        self._rules = rules

    def __missing__(self, char: str) -> tuple[tuple[str, bool], ...]:
        """Raises nothing: every character is read as something, or as none."""
        found = self[char] = tuple((each, stands_alone(each)) for each in self._read(char))
        if self._options.tokenize_chinese_chars and self._rules.is_chinese(char):
            found = self[char] = ((" ", True), *found, (" ", True))
        return found

    def _read(self, char: str) -> str:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category in _SPACES:
            return " "
        if char in "\0\ufffd" or category in self._rules.removed:
            return ""
        if self._strips:
            parts = unicodedata.normalize("NFD", char)
            char = "".join(each for each in parts if unicodedata.category(each) != "Mn")
        return "".join(each.lower() for each in char) if self._options.do_lower_case else char


def stands_alone(char: str) -> bool:
    """Whether it is a space or punctuation, among which BERT counts every sign of ASCII."""
    if char == " " or unicodedata.category(char).startswith("P"):
        return True
    return char.isascii() and not char.isalnum()


def _tight(text: str) -> str:
    for loose, tight in _TIGHT:
        text = text.replace(loose, tight)
    return text
