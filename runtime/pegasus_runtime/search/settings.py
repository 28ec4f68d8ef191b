"""The concrete settings of a search: what `GenerationOptions` become once resolved."""

from dataclasses import dataclass

from pegasus_runtime.search.options import EarlyStopping

__all__ = ["Biases", "SearchLimits", "SearchSettings", "SpecialTokens"]

Biases = tuple[tuple[tuple[int, ...], float], ...]
"""Token sequences, and what is added to the score of the last token of each."""


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

    prompt: tuple[int, ...]
    """What every row begins with: the start token, and the caller's prefix; () where the rows of a
    document continue its own tokens (text generation)."""
    continued_tokens: int
    """How many tokens each document has where its rows continue them; else 0."""
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
    encoder_repetition_penalty: float
    sequence_bias: Biases
    exponential_decay: tuple[int, float] | None
    """From rows of more than so many tokens on, EOS is favoured by a factor for each."""
    remove_invalid_values: bool
    renormalize_logits: bool
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
    min_p: float
    top_h: float | None
    typical_p: float
    epsilon_cutoff: float
    eta_cutoff: float
    seed: int | None
    """None: each call of `generate` draws its own."""
    token_scores: bool
    """Whether hypotheses tell the score of each token."""
    tokens: SpecialTokens
    vocab_size: int

    @property
    def prompt_length(self) -> int:
        """Tokens that every row begins with."""
        return self.continued_tokens or len(self.prompt)

    @property
    def first_length(self) -> int:
        """Tokens in the rows of the model's first call, which has one row per document."""
        return self.continued_tokens or 1

    @property
    def looks_at_scores(self) -> bool:
        """Whether a processor needs the scores of the whole vocabulary."""
        return (
            self.do_sample
            or self.repetition_penalty != 1.0
            or self.encoder_repetition_penalty != 1.0
            or self.sequence_bias != ()
            or self.changes_forced
        )

    @property
    def changes_forced(self) -> bool:
        """Whether a processor may change the scores of a step whose token is forced."""
        return (
            self.remove_invalid_values
            or self.renormalize_logits
            or self.exponential_decay is not None
        )

    @property
    def min_tokens_to_keep(self) -> int:
        """What warpers leave possible: with beams, a token that does not end the row, too."""
        return 1 + len(self.tokens.eos) if self.num_beams > 1 else 1

    @property
    def rows_per_document(self) -> int:
        """R: beams, or samples."""
        return self.num_beams if self.num_beams > 1 else self.num_return_sequences

    @property
    def num_candidates(self) -> int:
        """C: continuations looked at per document: enough that K of them do not end in EOS."""
        return max(2, 1 + len(self.tokens.eos)) * self.num_beams if self.num_beams > 1 else 1
