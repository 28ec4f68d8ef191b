"""What a caller may ask of generation, in Hugging Face's names and meanings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from pegasus_runtime.search.checks import (
    check_biases,
    check_choice,
    check_decay,
    check_finite,
    check_integer,
    check_number,
    check_share,
    check_tokens,
    check_words,
)

__all__ = ["EarlyStopping", "GenerationOptions"]

EarlyStopping = bool | Literal["never"]

_MAX_SEED = 2**128 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions:
    """Options of one generation; None means: take the bundle's default.

    As in transformers, `max_new_tokens` wins over `max_length` and `min_new_tokens` over
    `min_length`, and both lengths count the start token. `num_beams` above 1 is beam search, 1 is
    greedy search; with `do_sample`, both draw their tokens. Raises OptionsError.

    >>> GenerationOptions(num_beams=4, length_penalty=0.8).num_beams
    4
    """

    num_beams: int | None = None
    """Beams; 1 is greedy search, or sampling row by row."""
    max_length: int | None = None
    """Most tokens of a hypothesis, start token included."""
    max_new_tokens: int | None = None
    """Most generated tokens; wins over max_length."""
    min_length: int | None = None
    """EOS is banned while there are fewer tokens than this, start token included."""
    min_new_tokens: int | None = None
    """EOS is banned while there are fewer generated tokens than this; wins over min_length."""
    length_penalty: float | None = None
    """Score = log-probability / generated tokens ** length_penalty; above 0 favours long ones."""
    early_stopping: EarlyStopping | None = None
    """True stops at num_beams finished hypotheses, False by a heuristic, "never" when no better
    one is possible."""
    no_repeat_ngram_size: int | None = None
    """No n-gram of this size occurs twice; 0 is off."""
    encoder_no_repeat_ngram_size: int | None = None
    """No n-gram of this size is copied from the source (its EOS included); 0 is off."""
    repetition_penalty: float | None = None
    """Scores of tokens already there are divided (if positive) or multiplied by it; 1 is off."""
    bad_words_ids: Sequence[Sequence[int]] | None = None
    """Token sequences that must not be generated; a lone EOS is not banned; empty is off."""
    suppress_tokens: Sequence[int] | None = None
    """Tokens that are never generated; empty is off."""
    begin_suppress_tokens: Sequence[int] | None = None
    """Tokens that are not generated first (second, after a forced BOS); empty is off."""
    forced_bos_token_id: int | None = None
    """The first generated token."""
    forced_eos_token_id: int | Sequence[int] | None = None
    """The token at max_length; overrides min_length; an empty sequence is off."""
    eos_token_id: int | Sequence[int] | None = None
    """Tokens of which each ends a text, in place of the bundle's; an empty sequence is none."""
    num_return_sequences: int | None = None
    """Hypotheses per document: at most num_beams, or any number of samples."""
    do_sample: bool | None = None
    """Draw tokens at random; with beams, continuations of all of them."""
    temperature: float | None = None
    """Sampling: logits are divided by this."""
    top_k: int | None = None
    """Sampling: only the k most likely tokens; 0 is off."""
    top_p: float | None = None
    """Sampling: only the most likely tokens that together have this probability; 1 is off."""
    seed: int | None = None
    """Sampling: the same seed and document give the same samples; None draws a new seed."""

    min_p: float | None = None
    """Sampling: only tokens at least this likely, times the likeliest; 0 is off."""
    top_h: float | None = None
    """Sampling: only the most likely of 100 tokens that together have this much of the entropy."""
    typical_p: float | None = None
    """Sampling: only the most typical tokens that together have this probability; 1 is off."""
    epsilon_cutoff: float | None = None
    """Sampling: only tokens of at least this probability; 0 is off."""
    eta_cutoff: float | None = None
    """Sampling: like epsilon_cutoff, and lower where many tokens are likely; 0 is off."""
    encoder_repetition_penalty: float | None = None
    """Above 1, tokens of the source become likelier; 1 is off."""
    exponential_decay_length_penalty: Sequence[float] | None = None
    """(start, factor): EOS becomes likelier, by factor ** n, n tokens after `start` generated
    ones; an empty sequence is off."""
    sequence_bias: Mapping[tuple[int, ...], float] | Sequence[Sequence[Any]] | None = None
    """Token sequences and what is added to the score of their last token where it would complete
    them: {(413, 615): -2.5}, or pairs; -inf bans; empty is off."""
    renormalize_logits: bool | None = None
    """Scores are log-probabilities again after all other options."""
    remove_invalid_values: bool | None = None
    """What n-grams, bad words and lengths ban is as unlikely as can be, but not impossible."""
    decoder_input_ids: Sequence[int] | None = None
    """How every summary begins, with or without the start token (see `Summarizer.encode_prefix`);
    max_length and min_length count it, and `Hypothesis.token_ids` has it; empty is off."""
    token_scores: bool | None = None
    """Whether hypotheses have `token_scores`; the bundle has no default for it."""

    def __post_init__(self) -> None:
        """The ranges are such that all penalties, one after another, leave scores within fp32."""
        for name in ("num_beams", "max_new_tokens", "num_return_sequences"):
            check_integer(name, getattr(self, name), 1)
        check_integer("max_length", self.max_length, 2)
        for name in ("min_length", "min_new_tokens", "top_k"):
            check_integer(name, getattr(self, name), 0)
        check_integer("seed", self.seed, 0, _MAX_SEED)
        for name in ("no_repeat_ngram_size", "encoder_no_repeat_ngram_size"):
            check_integer(name, getattr(self, name), 0)
        check_finite("length_penalty", self.length_penalty)
        for name in ("top_p", "min_p", "epsilon_cutoff", "eta_cutoff"):
            check_number(name, getattr(self, name), 0.0, 1.0)
        for name in ("top_h", "typical_p"):
            check_share(name, getattr(self, name))
        for name in ("repetition_penalty", "encoder_repetition_penalty"):
            check_number(name, getattr(self, name), 1e-6, 1e6)
        check_number("temperature", self.temperature, 1e-9, 1e9)
        check_choice("early_stopping", self.early_stopping, (True, False, "never"))
        for name in ("do_sample", "renormalize_logits", "remove_invalid_values", "token_scores"):
            check_choice(name, getattr(self, name), (True, False))
        self._check_token_ids()

    def _check_token_ids(self) -> None:
        check_integer("forced_bos_token_id", self.forced_bos_token_id, 0)
        for name in ("forced_eos_token_id", "eos_token_id"):
            value = getattr(self, name)
            if isinstance(value, Integral):
                check_integer(name, value, 0)
            else:
                check_tokens(name, value)
        for name in ("suppress_tokens", "begin_suppress_tokens", "decoder_input_ids"):
            check_tokens(name, getattr(self, name))
        check_words("bad_words_ids", self.bad_words_ids)
        check_biases("sequence_bias", self.sequence_bias)
        check_decay("exponential_decay_length_penalty", self.exponential_decay_length_penalty)
