"""What a graph that generates has of its checkpoint's settings for good, besides its inputs."""

from dataclasses import dataclass

from pegasus_export.errors import UnsupportedError
from pegasus_runtime.search.settings import SearchSettings

__all__ = ["INPUT_OPTIONS", "FixedSettings", "fixed_settings"]

INPUT_OPTIONS = (
    "num_beams",
    "max_length",
    "min_length",
    "length_penalty",
    "early_stopping",
    "no_repeat_ngram_size",
    "repetition_penalty",
    "num_return_sequences",
)
"""Those that are inputs: scalars, by the names of transformers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSettings:
    """Constants of the graph."""

    pad: int
    eos: tuple[int, ...]
    decoder_start: int
    forced_bos: int | None
    forced_eos: tuple[int, ...]
    """Of which one ends a row at max_length; ascending."""
    banned: tuple[int, ...]
    """Tokens that may never come."""
    banned_first: tuple[int, ...]
    """Tokens that may not come where rows have `first_length` tokens."""
    first_length: int
    vocab_size: int
    max_beams: int
    max_length: int
    """Most tokens in a row, start token included."""
    max_source_tokens: int

    @property
    def candidates_per_beam(self) -> int:
        """Continuations looked at per beam: enough that one of each does not end."""
        return max(2, 1 + len(self.eos))


def fixed_settings(
    settings: SearchSettings, *, max_beams: int, max_length: int, max_source_tokens: int
) -> FixedSettings:
    """Of a checkpoint's own settings, resolved.

    Raises: UnsupportedError for those that the graph would leave out.
    """
    if left_out := _left_out(settings):
        raise UnsupportedError(
            f"the checkpoint generates with {', '.join(left_out)}, which one graph does not do: "
            "leave out --generate, or remove it from generation_config.json"
        )
    return FixedSettings(
        pad=settings.tokens.pad,
        eos=settings.tokens.eos,
        decoder_start=settings.tokens.decoder_start,
        forced_bos=settings.forced_bos_token_id,
        forced_eos=settings.forced_eos_token_ids,
        banned=tuple(
            sorted({*settings.suppress_tokens, *(word[0] for word in settings.bad_words_ids)})
        ),
        banned_first=settings.begin_suppress_tokens,
        first_length=settings.begin_suppress_length,
        vocab_size=settings.vocab_size,
        max_beams=max_beams,
        max_length=max_length,
        max_source_tokens=max_source_tokens,
    )


def _left_out(settings: SearchSettings) -> list[str]:
    """Names of settings that are neither an input nor a constant of the graph."""
    forced = {*settings.forced_eos_token_ids, settings.forced_bos_token_id}
    present = {
        "do_sample": settings.do_sample,
        "encoder_no_repeat_ngram_size": settings.encoder_no_repeat_ngram_size > 0,
        "encoder_repetition_penalty": settings.encoder_repetition_penalty != 1.0,
        "sequence_bias": settings.sequence_bias != (),
        "exponential_decay_length_penalty": settings.exponential_decay is not None,
        "remove_invalid_values": settings.remove_invalid_values,
        "renormalize_logits": settings.renormalize_logits,
        "bad_words_ids of several tokens": any(len(word) > 1 for word in settings.bad_words_ids),
        "decoder_input_ids": len(settings.prompt) > 1,
        "begin_suppress_tokens that are forced": bool(
            forced.intersection(settings.begin_suppress_tokens)
        ),
    }
    return [name for name, is_there in present.items() if is_there]
