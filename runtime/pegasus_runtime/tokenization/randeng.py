"""The vocabulary of IDEA-CCNL's Randeng-Pegasus: Chinese words, and WordPiece for what is none.

Text is cut into words by a dictionary; a word of the vocabulary is taken whole, any other is read
as BERT reads it. A document is its tokens and EOS. Ids and text are those of the class that the
checkpoints are published with, run on transformers 5.23. It does not lower a text before it is cut,
as transformers before 4.34 did: that tells tokens with capitals from others, and matters for 66
words of jieba's dictionary (`卡拉OK`).

Where it differs: ids beyond the vocabulary have no text, there they are `<unk>`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pegasus_runtime.bundle.tokenizer_spec import TokenizerSpec, WordPieceSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.settled import sub_settled
from pegasus_runtime.tokenization.vocabulary import Offsets
from pegasus_runtime.tokenization.word_cutter import WordCutter
from pegasus_runtime.tokenization.wordpiece import (
    BERTS_OWN,
    CONTINUES,
    WordPiece,
    read_lines,
    stands_alone,
)

__all__ = ["EOS", "MASKED_SENTENCE", "OPTIONS", "Randeng", "read_randeng_vocab"]

EOS: Final = "</s>"
MASKED_SENTENCE: Final = "<mask_1>"
OPTIONS: Final = WordPieceSpec(
    pad_token="<pad>",
    unk_token="<unk>",
    sep_token="[SEP]",
    cls_token="[CLS]",
    mask_token="<mask_2>",
)
_LINES: Final[Mapping[str, str]] = {
    "[PAD]": "<pad>",
    "[UNK]": "<unk>",
    "[unused1]": EOS,
    "[unused2]": MASKED_SENTENCE,
    "[unused3]": "<mask_2>",
}
"""Lines of vocab.txt that stand for another token."""
_WRITTEN_ID = 2  # in text, though it is special: <mask_1>

_CLOSED = (
    "\uff01-\uff0d\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff64\u3000-\u3003\u3008-\u3011"
    "\u3014-\u301f\u3030\u303e\u303f\u2013\u2014\u2018\u2019\u201b-\u201f\u2026\u2027"
    "\ufe4f\ufe51\ufe54\u00b7+\\-/={(<\\["
)
_NOTHING = r"(?!)"
_TIGHT: Final = tuple(
    (re.compile(pattern), kept, re.compile(begun))
    for pattern, kept, begun in (
        (" +", " ", _NOTHING),
        ("' (re|m|s|t|ve|d|ll) ", r"'\1 ", r"'( (re?|m|s|t|ve?|d|ll?)?)?\Z"),
        (f"([{_CLOSED}]) ", r"\1", _NOTHING),
        (r"(\d\.) (\d)", r"\1\2", r"(?<=\d\.) \Z"),
    )
)
"""What decoded text is set right with, in this order; and what at its end may become a match that
takes more away than the space behind it."""


class Randeng:
    """Words, and the pieces of others; nothing here changes but a cache."""

    def __init__(
        self, vocab: Mapping[str, int], cutter: WordCutter, options: WordPieceSpec = OPTIONS
    ) -> None:
        """vocab: token -> id. Raises: BundleError if it lacks a special token."""
        self._ids = dict(vocab)
        self._tokens = {token_id: token for token, token_id in vocab.items()}
        self._cutter = cutter
        self._pieces = WordPiece(vocab, options, BERTS_OWN)
        self._unknown = options.unk_token
        self.size = self._pieces.size
        self.unk_token_id = self._pieces.unk_token_id
        self.special_tokens = {
            **self._pieces.special_tokens,
            EOS: vocab[EOS],
            MASKED_SENTENCE: vocab[MASKED_SENTENCE],
        }

    @classmethod
    def load(cls, path: Path, spec: TokenizerSpec) -> "Randeng":
        """Load vocab.txt, and the dictionary beside it.

        Raises: BundleError if one is missing or damaged, or has other special tokens.
        """
        if spec.dictionary is None:
            raise BundleError(f"{path}: its manifest names no dictionary: export again")
        vocab = read_randeng_vocab(path)
        options = spec.wordpiece or OPTIONS
        found = cls(vocab, WordCutter.load(path.parent / spec.dictionary), options)
        got = (vocab[options.pad_token], vocab[EOS], found.unk_token_id)
        expected = (spec.pad_token_id, spec.eos_token_id, spec.unk_token_id)
        if got != expected:
            raise BundleError(
                f"{path}: has (pad, eos, unk) at {got}, expected {expected}: not the vocabulary of "
                "this bundle"
            )
        return found

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        return frozenset(self.special_tokens.values()) - {_WRITTEN_ID}

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
        ids: list[int] = []
        offsets: Offsets = []
        start = 0
        for word in self._cutter.cut(text):
            end = start + len(word)
            whole = self._ids.get(word)
            if whole is None:
                found, places = self._pieces.encode_pieces(word)
                ids += found
                offsets += [(start + first, start + last) for first, last in places]
            else:
                ids.append(whole)
                offsets.append((start, end))
            start = end
        return ids, offsets

    def normalize(self, text: str) -> tuple[str, list[int]]:
        """The text: what is normalised is so word by word, after it was cut."""
        return text, list(range(len(text) + 1))

    def encode_normalized(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """As `encode_pieces`."""
        return self.encode_pieces(text)

    def decode(self, tokens: Sequence[int | str]) -> str:
        """Text of ids and of literals between them.

        Chinese stands without spaces, and so does what follows it; a mark stands right after what
        it follows, and before a space unless it opens something or is Chinese.
        """
        text = self._join(tokens)
        for pattern, kept, _ in _TIGHT:
            text = pattern.sub(kept, text)
        return text.strip()

    def decode_settled(self, tokens: Sequence[int | str]) -> str:
        """What the text of these begins with, and that of any that begin with these."""
        text = self._join(tokens)
        for pattern, kept, begun in _TIGHT:
            text = sub_settled(text, pattern, kept, begun)
        return text.strip()

    def _join(self, tokens: Sequence[int | str]) -> str:
        text = ""
        for each in tokens:
            token = each if isinstance(each, str) else self._tokens.get(each, self._unknown)
            is_char = len(token) == 1
            if token.startswith(CONTINUES):
                text += token[2:]
            elif is_char and BERTS_OWN.is_chinese(token):
                text += token
            elif is_char and stands_alone(token) and token.isprintable() and token != " ":
                text += f"{token} "
            else:
                text += token if text and BERTS_OWN.is_chinese(text[-1]) else f" {token}"
        return text


def read_randeng_vocab(path: Path) -> dict[str, int]:
    """Token -> id of a vocab.txt, under the names that its class gives some of the lines.

    Raises: BundleError if one of these is missing.
    """
    text = re.sub("\r\n?", "\n", "\n".join(read_lines(path)))
    vocab = {line: token_id for token_id, line in enumerate(text.removesuffix("\n").split("\n"))}
    missing = [line for line in _LINES if line not in vocab]
    if missing:
        raise BundleError(
            f"{path}: has no line {missing[0]}, which Randeng-Pegasus's tokenizer needs: take the "
            "vocab.txt that the checkpoint was trained with"
        )
    return {token: i for token, i in vocab.items() if token not in _LINES} | {
        token: vocab[line] for line, token in _LINES.items()
    }
