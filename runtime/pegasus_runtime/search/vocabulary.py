"""Token ids that settings name: all in the vocabulary, and none both forced and suppressed."""

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings

__all__ = ["check_vocabulary"]


def check_vocabulary(settings: SearchSettings, merged: GenerationOptions) -> None:
    """Raises: OptionsError."""
    tokens, vocab_size = settings.tokens, settings.vocab_size
    if vocab_size < max(2, 1 + len(tokens.eos)):
        raise OptionsError(
            f"the vocabulary has {vocab_size} tokens, expected more than the {len(tokens.eos)} "
            "that end a sequence and at least 2: check the bundle"
        )
    for name, ids in _named_tokens(settings).items():
        outside = [token for token in ids if not 0 <= token < vocab_size]
        if outside:
            raise OptionsError(
                f"{name} has token {outside[0]}, the vocabulary ends at {vocab_size - 1}: "
                "take ids from the bundle's tokenizer"
            )
    forced_bos = settings.forced_bos_token_id
    if forced_bos in settings.suppress_tokens:
        raise OptionsError(
            f"forced_bos_token_id {forced_bos} is in suppress_tokens: remove it from one of the two"
        )
    if merged.forced_eos_token_id not in (None, (), []) and not settings.forced_eos_token_ids:
        raise OptionsError(
            f"forced_eos_token_id {merged.forced_eos_token_id} is suppressed at max_length: remove "
            "it from suppress_tokens and begin_suppress_tokens, or use min_new_tokens to ban EOS"
        )


def _named_tokens(settings: SearchSettings) -> dict[str, tuple[int, ...]]:
    forced_bos = settings.forced_bos_token_id
    return {
        "pad": (settings.tokens.pad,),
        "eos": settings.tokens.eos,
        "decoder_start": (settings.tokens.decoder_start,),
        "bad_words_ids": tuple(token for word in settings.bad_words_ids for token in word),
        "sequence_bias": tuple(token for word, _ in settings.sequence_bias for token in word),
        "decoder_input_ids": settings.prompt[1:],
        "suppress_tokens": settings.suppress_tokens,
        "begin_suppress_tokens": settings.begin_suppress_tokens,
        "forced_bos_token_id": () if forced_bos is None else (forced_bos,),
        "forced_eos_token_id": settings.forced_eos_token_ids,
    }
