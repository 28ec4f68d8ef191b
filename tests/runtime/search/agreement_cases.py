"""Random options and Markov chains, on which nothing that is certain may be taken back."""

import random
from typing import Any

import numpy as np

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.markov_engine import EOS, MarkovEngine, random_chain
from runtime.search.oracle import settings_for

__all__ = ["draw_case"]


def draw_case(draw: random.Random) -> tuple[MarkovEngine, SearchSettings]:
    """A chain, and options that can be met for it, but that may leave nothing possible."""
    vocab_size = draw.choice([4, 6, 10, 20])
    sharpness = draw.choice([0.5, 1.0, 3.0, 8.0])
    rng = np.random.default_rng(draw.randrange(10**9))
    chain = random_chain(rng, num_kinds=2, vocab_size=vocab_size, sharpness=sharpness)
    if draw.random() < 0.5:  # texts are longer, and end one by one
        chain[:, :, EOS] -= draw.choice([1.0, 3.0, 6.0])
    if draw.random() < 0.2:  # equal scores
        chain = np.round(chain)
    while True:
        options = _draw_options(draw, vocab_size)
        try:
            return MarkovEngine(chain), settings_for(
                GenerationOptions(**options), vocab_size=vocab_size
            )
        except OptionsError:
            continue


def _draw_options(draw: random.Random, vocab_size: int) -> dict[str, Any]:
    beams = draw.choice([1, 2, 3, 4, 8])
    samples = draw.random() < 0.3
    options: dict[str, Any] = {"num_beams": beams, "max_length": draw.randint(3, 16)}
    choices: dict[str, Any] = {
        "length_penalty": draw.choice([-300.0, -2.0, -0.5, 0.0, 0.6, 1.0, 2.0, 5.0, 300.0]),
        "early_stopping": draw.choice([True, False, "never"]),
        "min_length": draw.randint(0, 8),
        "no_repeat_ngram_size": draw.randint(1, 3),
        "repetition_penalty": draw.choice([0.5, 1.3, 3.0]),
        "forced_eos_token_id": EOS,
        "forced_bos_token_id": draw.randrange(2, vocab_size),
        "suppress_tokens": [draw.randrange(2, vocab_size)],
        "bad_words_ids": [[draw.randrange(vocab_size), draw.randrange(vocab_size)]],
        "decoder_input_ids": [draw.randrange(2, vocab_size) for _ in range(draw.randint(1, 2))],
        "eos_token_id": [EOS, 2],
        "token_scores": True,
        "num_return_sequences": draw.randint(1, beams if beams > 1 or not samples else 6),
    }
    rarer = {  # these may raise scores, or make what is impossible very unlikely
        "sequence_bias": {
            (draw.randrange(vocab_size),): draw.choice([5.0, 1e10, -1e10, -5.0]),
            (draw.randrange(vocab_size), draw.randrange(vocab_size)): draw.choice([5.0, 1e12]),
        },
        "exponential_decay_length_penalty": (draw.randint(0, 8), draw.choice([0.5, 1.1, 2.0])),
        "remove_invalid_values": True,
        "renormalize_logits": True,
    }
    options |= {name: value for name, value in choices.items() if draw.random() < 0.35}
    name, value = draw.choice(list(rarer.items()))
    if draw.random() < 0.3:
        options[name] = value
    if samples:
        options |= {"do_sample": True, "seed": draw.randrange(99), "top_k": 0}
        options |= {"temperature": draw.choice([0.5, 2.0])} if draw.random() < 0.5 else {}
    return options
