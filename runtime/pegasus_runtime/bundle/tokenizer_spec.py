"""What a manifest says about its tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "PUBLISHED_TOKENIZERS",
    "AddedToken",
    "Prepend",
    "TokenizerKind",
    "TokenizerSpec",
    "WordPieceSpec",
]

TokenizerKind: TypeAlias = Literal["sentencepiece", "wordpiece", "randeng"]
Prepend: TypeAlias = Literal["always", "first", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedToken:
    """A token that a fine-tune put beside its vocabulary, under the names of Hugging Face.

    special: decoded to nothing. normalized: looked for after the text was normalised. lstrip,
    rstrip: it takes the whitespace on that side along. single_word: it is none inside a word.
    """

    content: str
    token_id: int
    special: bool = False
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPieceSpec:
    """How text is cut into words, by the names of Hugging Face's BertTokenizer.

    strip_accents: None follows do_lower_case. cls_token, mask_token: None where there is none.
    """

    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None
    max_input_chars_per_word: int = 100
    pad_token: str = "[PAD]"
    unk_token: str = "[UNK]"
    sep_token: str = "[SEP]"
    cls_token: str | None = "[CLS]"
    mask_token: str | None = "[MASK]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSpec:
    """The file of the vocabulary, and what it does not say itself.

    offset: of SentencePiece's pieces: id = piece + offset, from piece 2 on. special_below: ids
    below it never come out of text, whatever the file says of their pieces. prefix_ids,
    suffix_ids: around every text. added_tokens: found in texts before the vocabulary is asked.
    prepend: which parts of a text between added tokens get a space in front. trims: a space at the
    end of a part is no token. clean_up_spaces: those before punctuation are dropped from decoded
    text. wordpiece: for that kind and for randeng, else None. dictionary: for randeng, the file of
    its words, beside `file`; else None.
    The defaults are those of the published PEGASUS checkpoints.
    """

    file: str
    kind: TokenizerKind = "sentencepiece"
    offset: int = 103
    pad_token_id: int = 0
    eos_token_id: int = 1
    unk_token_id: int = 105
    special_below: int = 106
    prefix_ids: tuple[int, ...] = ()
    suffix_ids: tuple[int, ...] = (1,)
    added_tokens: tuple[AddedToken, ...] = ()
    prepend: Prepend = "always"
    trims: bool = False
    clean_up_spaces: bool = False
    wordpiece: WordPieceSpec | None = None
    dictionary: str | None = None


PUBLISHED_TOKENIZERS: Mapping[str, TokenizerSpec] = {
    "pegasus": TokenizerSpec(file="spiece.model"),
    "bigbird_pegasus": TokenizerSpec(file="spiece.model", offset=0),
    "pegasus_x": TokenizerSpec(file="spiece.model"),
}
"""model_type -> what the published checkpoints have."""
