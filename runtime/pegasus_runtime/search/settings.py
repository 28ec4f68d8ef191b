"""The concrete settings of a search: what `GenerationOptions` become once resolved."""

from dataclasses import dataclass

from pegasus_runtime.search.options import EarlyStopping

__all__ = ["PROMPT_LENGTH", "SearchLimits", "SearchSettings", "SpecialTokens"]

PROMPT_LENGTH = 1
"""Decoding starts from the start token alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """The token ids that steer a search."""

    pad: int
    eos: tuple[int, ...]
    decoder_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """What the bundle can do."""

    max_target_tokens: int
    """Most tokens in a row, start token included."""
    vocab_size: int
    max_beams: int = 32
    """Most rows per document: beams, or samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Everything a search needs, concrete and checked; made by `resolve_options`."""

    num_beams: int
    max_length: int
    """Most tokens in a row, start token included."""
    min_length: int
    """EOS is banned while a row has fewer tokens, start token included."""
    length_penalty: float
    early_stopping: EarlyStopping
    no_repeat_ngram_size: int
    encoder_no_repeat_ngram_size: int
    repetition_penalty: float
    bad_words_ids: tuple[tuple[int, ...], ...]
    """Without those that are a lone EOS, which transformers does not ban."""
    suppress_tokens: tuple[int, ...]
    begin_suppress_tokens: tuple[int, ...]
    begin_suppress_length: int
    """begin_suppress_tokens are banned in rows of exactly this many tokens."""
    forced_bos_token_id: int | None
    forced_eos_token_ids: tuple[int, ...]
    """Ascending, without those that are suppressed at that step."""
    num_return_sequences: int
    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int | None
    """None: each call of `generate` draws its own."""
    tokens: SpecialTokens
    vocab_size: int

    @property
    def rows_per_document(self) -> int:
        """R: beams, or samples."""
        return self.num_beams if self.num_beams > 1 else self.num_return_sequences

    @property
    def num_candidates(self) -> int:
        """C: continuations looked at per document: enough that K of them do not end in EOS."""
        return max(2, 1 + len(self.tokens.eos)) * self.num_beams if self.num_beams > 1 else 1
