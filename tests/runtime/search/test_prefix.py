"""A given prefix: fed to the model as it stands, and part of every summary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.prefix import prefix_inputs
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.markov_engine import EOS, MarkovDecoding, MarkovEngine, random_chain
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


class ReadsAhead(MarkovEngine):
    """As an engine without an encoder: it has read all but the last token of its documents."""

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> MarkovDecoding:
        (read,) = {len(source) - 1 for source in sources}
        return super().start(
            sources, rows_per_document=rows_per_document, max_length=max_length - read
        )


def continued(length: int, **options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=20, continued_tokens=length)


@pytest.mark.parametrize("options", [{}, {"num_beams": 4}, {"do_sample": True, "seed": 1}])
def test_rows_continue_their_documents_and_no_document_sees_its_neighbours(
    options: dict[str, Any],
) -> None:
    """What follows is what would follow the last token, in a chain that looks at no other."""
    chain = random_chain(np.random.default_rng(7), num_kinds=1, vocab_size=20)
    sources = [[2, 9, 4], [3, EOS, 4], [4, 8, EOS]]
    settings = continued(3, max_new_tokens=6, no_repeat_ngram_size=0, **options)
    batch = generate(ReadsAhead(chain), sources, settings)
    assert batch == [generate(ReadsAhead(chain), [source], settings)[0] for source in sources]
    if not settings.do_sample:
        assert [each.token_ids for each in batch[0]] == [each.token_ids for each in batch[1]]
    for (found,) in batch:
        assert 0 < len(found.token_ids) <= 6


def test_lengths_count_what_is_continued() -> None:
    assert continued(5, max_length=9).max_length == 9
    assert continued(5, max_new_tokens=9, min_new_tokens=2).max_length == 14
    assert continued(5, max_new_tokens=9, min_new_tokens=2).min_length == 7
    assert continued(5).max_length == 25
    assert continued(5, exponential_decay_length_penalty=(2, 1.5)).exponential_decay == (7, 1.5)
    assert continued(1, forced_bos_token_id=3, begin_suppress_tokens=[4]).begin_suppress_length == 2
    assert continued(2, forced_bos_token_id=3, begin_suppress_tokens=[4]).begin_suppress_length == 2
    for options, message in (
        ({"decoder_input_ids": [3]}, "^decoder_input_ids is how summaries begin, and this conti"),
        ({"max_length": 5}, "^the prompt has 5 tokens, max_length is 5: raise max_length, or set"),
        ({"max_length": 65}, "^max_length is 65 tokens with the prompt, the bundle takes 64"),
    ):
        with pytest.raises(OptionsError, match=message):
            continued(5, **options)


def test_no_ngram_of_a_prompt_is_repeated() -> None:
    chain = random_chain(np.random.default_rng(7), num_kinds=1, vocab_size=20)
    every = [2, *range(1, 20)]
    settings = continued(len(every), max_new_tokens=1, num_beams=2, no_repeat_ngram_size=1)
    ((found,),) = generate(ReadsAhead(chain), [every], settings)
    assert found.token_ids == (0,)  # all others are in it


def test_steps_of_the_prefix_are_reported_too() -> None:
    lengths: list[int] = []
    settings = settings_of(decoder_input_ids=[5, 6], max_length=6, min_length=6, num_beams=2)
    generate(chain_engine(), [[2, EOS]], settings, on_step=lengths.append)
    assert lengths == [1, 2, 3, 4, 5]
