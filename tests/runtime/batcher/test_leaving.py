"""Documents that leave a running search, on a real engine: the others are as if alone."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.generation.loop import generate, run_search
from pegasus_runtime.sessions.ort.engine import OrtEngine


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"num_beams": 1},
        {"num_beams": 1, "do_sample": True, "seed": 3, "num_return_sequences": 2},
        {"num_beams": 2, "decoder_input_ids": [5, 7, 9]},
    ],
)
def test_those_who_stay_find_what_they_find_alone(
    alone: Summarizer, engine: OrtEngine, options: dict[str, Any]
) -> None:
    settings = alone.resolve(GenerationOptions(max_length=14, min_length=9, **options))
    sources = [alone.encode(text).token_ids for text in tiny_sentences()[:4]]
    expected = [generate(engine, [source], settings)[0] for source in sources]
    for before_step in range(4):
        search = run_search(engine, sources, settings)
        for _ in range(before_step + 1):
            next(search)
        found = dict(search.send([0, 2]).found)
        for step in search:
            found.update(step.found)
        assert sorted(found) == [1, 3]
        for number, hypotheses in found.items():
            tokens = [each.token_ids for each in hypotheses]
            assert tokens == [each.token_ids for each in expected[number]]
