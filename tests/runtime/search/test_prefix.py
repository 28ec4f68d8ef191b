"""A given prefix: fed to the model as it stands, and part of every summary."""

from typing import Any

import numpy as np
import pytest

from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.prefix import prefix_inputs
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.markov_engine import EOS, MarkovEngine, random_chain
from runtime.search.oracle import settings_for

SOURCES = [[2, 9, 4, EOS], [3, EOS], [4, 8, 8, EOS]]


def settings_of(**options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=20)


def chain_engine() -> MarkovEngine:
    return MarkovEngine(random_chain(np.random.default_rng(7), num_kinds=5, vocab_size=20))


def test_without_a_prefix_nothing_is_fed_before_the_search() -> None:
    assert list(prefix_inputs(3, settings_of())) == []
    assert list(prefix_inputs(3, settings_of(decoder_input_ids=[0]))) == []


def test_all_but_the_last_token_is_fed_first_with_one_row_a_document_and_then_with_all() -> None:
    first, second = prefix_inputs(2, settings_of(num_beams=3, decoder_input_ids=[5, 6]))
    assert (first[0].tolist(), first[1]) == ([0, 0], None)
    assert second[0].tolist() == [5] * 6
    assert second[1] is not None
    assert second[1].tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("options", [{}, {"num_beams": 4}, {"do_sample": True, "seed": 1}])
@pytest.mark.parametrize("prefix", [[5], [5, 6], [5, EOS, 6]])
def test_every_summary_begins_with_the_prefix_and_no_document_sees_its_neighbours(
    prefix: list[int], options: dict[str, Any]
) -> None:
    settings = settings_of(decoder_input_ids=prefix, max_length=12, **options)
    batch = generate(chain_engine(), SOURCES, settings)
    assert batch == [generate(chain_engine(), [source], settings)[0] for source in SOURCES]
    for (found,) in batch:
        assert list(found.token_ids[: len(prefix)]) == prefix
        assert len(found.token_ids) > len(prefix)


def test_steps_of_the_prefix_are_reported_too() -> None:
    lengths: list[int] = []
    settings = settings_of(decoder_input_ids=[5, 6], max_length=6, min_length=6, num_beams=2)
    generate(chain_engine(), [[2, EOS]], settings, on_step=lengths.append)
    assert lengths == [1, 2, 3, 4, 5]
