"""Batches and options, and what transformers makes of them: written down where transformers is.

Options are those of the parity tests. Sources are beginnings of the demo checkpoints' articles, or
random tokens where there are none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from e2e.parity.cases import ask_transformers, draw_options
from pegasus_runtime import GenerationOptions, Summarizer

__all__ = ["write_cases"]

MOST_DOCUMENTS = 3  # 1, 2, 3, 1, ...: few cases have batches, too
SHORT_TOKENS = 24  # at most, of every third document


def write_cases(
    graphs: Path, checkpoint: Path, output: Path, count: int, texts: Sequence[str] = ()
) -> None:
    """graphs: the checkpoint's fp32 graphs for TensorRT, run on the CPU to know its limits."""
    import transformers

    library: Any = transformers
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    model = getattr(library, config["architectures"][0]).from_pretrained(
        checkpoint, dtype="float32"
    )
    with Summarizer.load(graphs, provider="cpu", threads=1) as summarizer:
        longest = summarizer.bundle.manifest.limits.max_source_tokens
        encoded = [summarizer.encode(text, truncate=True).token_ids for text in texts]
        cases = [_case(n, model.eval(), summarizer, encoded, longest) for n in range(count)]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(cases), encoding="utf-8")


def _case(
    number: int,
    model: Any,
    summarizer: Summarizer,
    texts: Sequence[Sequence[int]],
    longest: int,
) -> dict[str, Any]:
    rng = np.random.default_rng([7, number])
    options = _long(summarizer) if number % 4 == 3 else draw_options(rng, summarizer)
    sources = [
        _source(rng, summarizer, texts, longest if (number + n) % 3 else SHORT_TOKENS)
        for n in range(1 + number % MOST_DOCUMENTS)
    ]
    while True:
        found, is_close = ask_transformers(model, summarizer, sources, options)
        if not is_close:
            break
        assert options is not None
        options = replace(options, seed=int(rng.integers(1 << 30)))
    return {"sources": sources, "options": _given(options), "expected": found}


def _long(summarizer: Summarizer) -> GenerationOptions:
    """So many tokens that caches grow; those that are drawn are short."""
    longest = summarizer.bundle.manifest.limits.max_target_tokens
    return GenerationOptions(num_beams=4, min_length=min(40, longest - 4), max_length=longest)


def _source(
    rng: np.random.Generator, summarizer: Summarizer, texts: Sequence[Sequence[int]], longest: int
) -> list[int]:
    length = int(rng.integers(1, longest))
    if texts:
        return [*list(texts[rng.integers(len(texts))])[: length - 1], 1]
    vocab_size = summarizer.bundle.manifest.architecture.vocab_size
    return [*rng.integers(2, vocab_size, length - 1).tolist(), 1]


def _given(options: GenerationOptions | None) -> dict[str, Any] | None:
    """As JSON has them: an n-gram is a list, and no key."""
    if options is None:
        return None
    given = {name: value for name, value in asdict(options).items() if value is not None}
    if "sequence_bias" in given:
        bias = given["sequence_bias"]
        pairs = bias.items() if isinstance(bias, dict) else bias
        given["sequence_bias"] = [[list(tokens), value] for tokens, value in pairs]
    return given
