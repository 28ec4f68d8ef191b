"""transformers' `generate` as the oracle of tokens, and random options to ask it for."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SearchSettings, SpecialTokens
from runtime.search.shared_draws import SharedDraws
from runtime.search.torch_engine import EOS, PAD, START

TOKENS = SpecialTokens(pad=PAD, eos=(EOS,), decoder_start=START)


def settings_for(
    options: GenerationOptions,
    *,
    vocab_size: int,
    eos: tuple[int, ...] = (EOS,),
    defaults: dict[str, object] | None = None,
    continued_tokens: int = 0,
) -> SearchSettings:
    tokens = SpecialTokens(pad=PAD, eos=eos, decoder_start=START)
    limits = SearchLimits(max_target_tokens=64, vocab_size=vocab_size)
    return resolve_options(
        options, defaults or {}, tokens, limits, continued_tokens=continued_tokens
    )


def oracle_arguments(options: GenerationOptions) -> dict[str, Any]:
    """The same options, as `generate` takes them; a prefix as one row."""
    arguments = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name not in ("seed", "token_scores") and getattr(options, field.name) is not None
    }
    for name in (
        "bad_words_ids",
        "suppress_tokens",
        "begin_suppress_tokens",
        "sequence_bias",
        "exponential_decay_length_penalty",
        "decoder_input_ids",
    ):
        if not arguments.get(name, True):
            del arguments[name]
    if "decoder_input_ids" in arguments:
        arguments["decoder_input_ids"] = torch.tensor([list(arguments["decoder_input_ids"])])
    return arguments


def run_oracle(
    model: Any,
    sources: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    eos: tuple[int, ...] = (EOS,),
) -> list[list[tuple[tuple[int, ...], float]]]:
    """Tokens up to and including the first EOS, and scores (nan without beams), per document.

    Without the start token, or the prompt of a decoder alone: then sources are of one length.
    """
    eos = eos if options.eos_token_id is None else tuple(options.eos_token_id)  # type: ignore[arg-type]
    output, prompt_length = ask(model, sources, options, eos=eos)
    first = 1 if model.config.is_encoder_decoder else prompt_length
    scores = getattr(output, "sequences_scores", None)
    if scores is None:
        scores = torch.full((len(output.sequences),), float("nan"))
    found = [
        (cut_after_eos(sequence[first:].tolist(), eos, start=prompt_length - first), score)
        for sequence, score in zip(output.sequences, scores.tolist(), strict=True)
    ]
    returned = len(found) // len(sources)
    return [found[start : start + returned] for start in range(0, len(found), returned)]


def ask(
    model: Any,
    sources: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    eos: tuple[int, ...] = (EOS,),
) -> tuple[Any, int]:
    """All that `generate` returns, and how many tokens every row began with."""
    longest = max(len(source) for source in sources)
    pad = model.config.pad_token_id
    input_ids = torch.tensor([[*source, *[pad] * (longest - len(source))] for source in sources])
    mask = torch.tensor([[1] * len(source) + [0] * (longest - len(source)) for source in sources])
    arguments = {**oracle_arguments(options), "eos_token_id": list(eos)}
    prefix = arguments.get("decoder_input_ids", torch.tensor([[]]))
    start = model.generation_config.decoder_start_token_id
    prompt_length = prefix.shape[1] + (prefix[:, :1].tolist() != [[start]])
    if not model.config.is_encoder_decoder:
        prompt_length = longest
    if prefix.shape[1]:
        arguments["decoder_input_ids"] = prefix.repeat(len(sources), 1)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        output = model.generate(
            input_ids=input_ids,
            attention_mask=mask,
            return_dict_in_generate=True,
            output_scores=True,
            **arguments,
        )
    return output, prompt_length


def draws_for(
    sources: Sequence[Sequence[int]], options: GenerationOptions, settings: SearchSettings
) -> AbstractContextManager[Any]:
    """What makes the oracle draw as these options do; without sampling, nothing."""
    if not settings.do_sample:
        return nullcontext()
    assert options.seed is not None
    return SharedDraws(
        sources, options.seed, 1 if settings.num_beams > 1 else settings.rows_per_document
    )


def cut_after_eos(
    tokens: Sequence[int], eos: tuple[int, ...], *, start: int = 0
) -> tuple[int, ...]:
    ends = [index for index, token in enumerate(tokens) if token in eos and index >= start]
    return tuple(tokens[: ends[0] + 1] if ends else tokens)


def random_sources(rng: np.random.Generator, count: int, vocab_size: int) -> list[list[int]]:
    lengths = rng.integers(3, 12, count)
    return [[*rng.integers(2, vocab_size, length).tolist(), EOS] for length in lengths]


def random_options(rng: np.random.Generator, vocab_size: int) -> GenerationOptions:
    """Beam search options, each of them set with some probability."""

    def maybe(probability: float, value: Any) -> Any:
        return value if rng.random() < probability else None

    def tokens(count: int) -> list[int]:
        return [int(token) for token in rng.integers(2, vocab_size, count)]

    num_beams = int(rng.integers(2, 9))
    suppressed = maybe(0.2, tokens(int(rng.integers(1, 6))))
    forced_bos = maybe(0.2, tokens(1)[0])
    max_length = int(rng.integers(4, 20))
    min_length = int(rng.integers(0, max_length + 1))
    min_new_tokens = int(rng.integers(0, max_length))
    bad_words = [tokens(int(rng.integers(1, 4))) for _ in range(rng.integers(1, 6))]
    return GenerationOptions(
        num_beams=num_beams,
        max_length=max_length,
        min_length=maybe(0.3, min_length),
        min_new_tokens=maybe(0.15, min_new_tokens),
        length_penalty=maybe(0.7, float(rng.choice([-2.0, -0.5, 0.0, 0.6, 0.8, 1.0, 2.0]))),
        early_stopping=maybe(0.7, [False, True, "never"][rng.integers(3)]),
        no_repeat_ngram_size=maybe(0.3, int(rng.integers(1, 4))),
        encoder_no_repeat_ngram_size=maybe(0.2, int(rng.integers(1, 4))),
        repetition_penalty=maybe(0.25, float(rng.choice([0.8, 1.1, 1.5, 2.0]))),
        bad_words_ids=maybe(0.25, [*bad_words, *([[EOS]] if rng.random() < 0.2 else [])]),
        suppress_tokens=suppressed,
        begin_suppress_tokens=maybe(0.2, tokens(int(rng.integers(1, 6)))),
        forced_bos_token_id=None if forced_bos in (suppressed or ()) else forced_bos,
        forced_eos_token_id=maybe(0.5, EOS),
        num_return_sequences=maybe(0.4, int(rng.integers(1, num_beams + 1))),
    )


def with_more_options(
    rng: np.random.Generator, options: GenerationOptions, vocab_size: int
) -> GenerationOptions:
    """The same, and some of those that look at scores, draw, or say how a summary begins."""

    def maybe(probability: float, value: Any) -> Any:
        return value if rng.random() < probability else None

    def tokens(count: int) -> list[int]:
        return [int(token) for token in rng.integers(2, vocab_size, count)]

    assert options.max_length is not None
    biases = [
        [tokens(int(rng.integers(1, 4))), float(rng.choice([-6.0, -1.0, 1.5, 4.0]))]
        for _ in range(rng.integers(1, 6))
    ]
    prefix = [*([START] if rng.random() < 0.5 else []), *tokens(int(rng.integers(0, 3)))]
    remove_invalid_values = maybe(0.15, True)
    decay = maybe(0.25, (int(rng.integers(0, 6)), float(rng.choice([0.9, 1.05, 1.4]))))
    return replace(
        options,
        sequence_bias=maybe(0.25, biases),
        encoder_repetition_penalty=maybe(0.2, float(rng.choice([0.8, 1.2, 2.0]))),
        remove_invalid_values=remove_invalid_values,
        # with both, an EOS that is banned may come to +inf
        exponential_decay_length_penalty=None if remove_invalid_values else decay,
        renormalize_logits=maybe(0.2, True),
        decoder_input_ids=maybe(0.35, prefix),
        min_length=maybe(0.1, options.max_length + 3) or options.min_length,
        token_scores=maybe(0.3, True),
    )


def with_draws(rng: np.random.Generator, options: GenerationOptions) -> GenerationOptions:
    """The same, with tokens drawn from what some warpers leave."""

    def maybe(probability: float, values: list[Any]) -> Any:
        return values[rng.integers(len(values))] if rng.random() < probability else None

    return replace(
        options,
        do_sample=True,
        seed=int(rng.integers(1 << 30)),
        temperature=maybe(0.5, [0.5, 0.9, 1.6]),
        top_k=maybe(0.5, [0, 1, 3, 12]),
        top_p=maybe(0.4, [0.3, 0.8, 0.95]),
        min_p=maybe(0.25, [0.0, 0.02, 0.3]),
        top_h=maybe(0.2, [0.3, 0.8, 0.98]),
        typical_p=maybe(0.25, [0.2, 0.9, 1.0]),
        epsilon_cutoff=maybe(0.25, [3e-4, 0.05, 0.0]),
        eta_cutoff=maybe(0.25, [3e-4, 0.05, 0.0]),
    )
