"""Parts of a text between added tokens, read as transformers 5.23 reads them.

A fine-tune with added tokens has seen these ids, which are not raw SentencePiece's: the text is
normalised as a whole, and a space at the end of a part is a token.
"""

from dataclasses import dataclass, field

import sentencepiece

from pegasus_runtime.bundle.tokenizer_spec import Prepend
from pegasus_runtime.tokenization.model_proto import without_normalizer
from pegasus_runtime.tokenization.vocabulary import Offsets

__all__ = ["SPACE", "PartReader"]

SPACE = "▁"  # for a space, in pieces


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartReader:
    """A vocabulary in two steps: text to normalised text, a part of it to pieces."""

    prepend: Prepend
    trims: bool
    """Whether a space at the end of any part counts for nothing."""
    _collapses: bool = field(repr=False)
    """Several spaces into one."""
    _normalizer: sentencepiece.SentencePieceNormalizer = field(repr=False)
    """Maps characters, and leaves spaces as they are."""
    _processor: sentencepiece.SentencePieceProcessor = field(repr=False)
    """Takes text as it is."""

    @classmethod
    def load(cls, model: bytes, *, prepend: Prepend, trims: bool) -> "PartReader":
        """Of a serialized model that SentencePiece has loaded before."""
        spaces = sentencepiece.SentencePieceNormalizer(
            model_proto=model, add_dummy_prefix=False, escape_whitespaces=False
        )
        return cls(
            prepend=prepend,
            trims=trims,
            _collapses=spaces.normalize("a  a") == "a a",
            _normalizer=sentencepiece.SentencePieceNormalizer(
                model_proto=model,
                add_dummy_prefix=False,
                escape_whitespaces=False,
                remove_extra_whitespaces=False,
            ),
            _processor=sentencepiece.SentencePieceProcessor(model_proto=without_normalizer(model)),
        )

    def normalize(self, text: str) -> tuple[str, list[int]]:
        """Text with its characters mapped and runs of spaces collapsed; the place of each, and of
        the end."""
        normalized, places = self._normalizer.normalize(text, with_offsets=True)
        if not self._collapses:
            return normalized, places
        kept = [
            index
            for index, char in enumerate(normalized)
            if char != " " or index == 0 or normalized[index - 1] != " "
        ]
        return "".join(normalized[index] for index in kept), [
            *(places[index] for index in kept),
            places[-1],
        ]

    def encode(self, text: str, *, starts: bool, ends: bool) -> tuple[list[int], Offsets]:
        """Pieces of a part of a normalised text, and the characters of it that each stands for."""
        if (ends or self.trims) and self._collapses:
            text = text.rstrip(" ")
        text = text.replace(" ", SPACE)
        prepends = self.prepend == "always" or (self.prepend == "first" and starts)
        shift = 1 if prepends and text and not text.startswith(SPACE) else 0
        found = self._processor.encode(SPACE * shift + text, return_type="offset_mapping")
        return found["ids"], [
            (max(start - shift, 0), max(end - shift, 0)) for start, end in found["offsets"]
        ]
