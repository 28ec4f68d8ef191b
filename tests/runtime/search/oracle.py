"""transformers' `generate` as the oracle of tokens, and random options to ask it for."""

import warnings
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SearchSettings, SpecialTokens
from runtime.search.torch_engine import EOS, PAD, START

TOKENS = SpecialTokens(pad=PAD, eos=(EOS,), decoder_start=START)


def settings_for(
    options: GenerationOptions,
    *,
    vocab_size: int,
    eos: tuple[int, ...] = (EOS,),
    defaults: dict[str, object] | None = None,
) -> SearchSettings:
    tokens = SpecialTokens(pad=PAD, eos=eos, decoder_start=START)
    limits = SearchLimits(max_target_tokens=64, vocab_size=vocab_size)
    return resolve_options(options, defaults or {}, tokens, limits)


def oracle_arguments(options: GenerationOptions) -> dict[str, Any]:
    """The same options, as `generate` takes them."""
    arguments = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name != "seed" and getattr(options, field.name) is not None
    }
    for name in ("bad_words_ids", "suppress_tokens", "begin_suppress_tokens"):
        if not arguments.get(name, True):
            del arguments[name]
    return arguments


def run_oracle(
    model: Any,
    sources: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    eos: tuple[int, ...] = (EOS,),
) -> list[list[tuple[tuple[int, ...], float]]]:
    """Tokens up to and including the first EOS, and scores (nan without beams), per document."""
    longest = max(len(source) for source in sources)
    input_ids = torch.tensor([[*source, *[PAD] * (longest - len(source))] for source in sources])
    mask = torch.tensor([[1] * len(source) + [0] * (longest - len(source)) for source in sources])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        output = model.generate(
            input_ids=input_ids,
            attention_mask=mask,
            eos_token_id=list(eos),
            return_dict_in_generate=True,
            output_scores=True,
            **oracle_arguments(options),
        )
    scores = getattr(output, "sequences_scores", None)
    if scores is None:
        scores = torch.full((len(output.sequences),), float("nan"))
    found = [
        (cut_after_eos(sequence[1:].tolist(), eos), score)
        for sequence, score in zip(output.sequences, scores.tolist(), strict=True)
    ]
    returned = len(found) // len(sources)
    return [found[start : start + returned] for start in range(0, len(found), returned)]


def cut_after_eos(tokens: Sequence[int], eos: tuple[int, ...]) -> tuple[int, ...]:
    ends = [index for index, token in enumerate(tokens) if token in eos]
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
