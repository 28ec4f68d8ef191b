"""generate.onnx is the runtime's search, token for token: over a chain, which takes milliseconds.

The network around it is held against transformers in tests/e2e/test_parity.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from e2e.parity.whole_graph import fixed_options, options_of_graph
from exporter.generation.pair_chain import PairEngine, chain_parts, random_pairs
from pegasus_export.errors import UnsupportedError
from pegasus_export.generation.compose import GENERATE, compose_generation
from pegasus_export.generation.fixed import INPUT_OPTIONS, FixedSettings, fixed_settings
from pegasus_export.generation.inputs import SCALARS
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.markov_engine import EOS
from runtime.search.oracle import random_options, settings_for

VOCABULARY = 14
MAX_BEAMS, MAX_LENGTH, MAX_SOURCE = 9, 24, 6
EARLY_STOPPING = {False: 0, True: 1, "never": 2}
SOURCES = [[3, 2, 1], [4, 1], [5, 7, 7, 1]]


def open_chain(pairs: Any, fixed: FixedSettings) -> Any:
    model = compose_generation(chain_parts(pairs), fixed)[GENERATE]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options)


def fix(settings: SearchSettings) -> FixedSettings:
    return fixed_settings(
        settings,
        max_beams=MAX_BEAMS,
        max_length=MAX_LENGTH,
        max_source_tokens=MAX_SOURCE,
    )


def run(session: Any, settings: SearchSettings, **changed: Any) -> list[list[Hypothesis]]:
    ids = np.zeros((len(SOURCES), max(map(len, SOURCES))), np.int64)
    mask = np.zeros_like(ids)
    for row, source in enumerate(SOURCES):
        ids[row, : len(source)], mask[row, : len(source)] = source, 1
    values = {name: getattr(settings, name) for name in INPUT_OPTIONS} | changed
    if "early_stopping" not in changed:
        values["early_stopping"] = EARLY_STOPPING[settings.early_stopping]
    scalars = {name: np.array(value, SCALARS[name].numpy()) for name, value in values.items()}
    found = session.run(None, {"input_ids": ids, "attention_mask": mask, **scalars})
    for row, length in zip(found[0].reshape(-1, found[0].shape[2]), found[1].flat, strict=True):
        assert (row[length:] == settings.tokens.pad).all()
    return [
        [
            Hypothesis(token_ids=tuple(tokens[:length].tolist()), score=float(score))
            for tokens, length, score in zip(*document, strict=True)
            if length
        ]
        for document in zip(*found, strict=True)
    ]


def draw_fixed(rng: np.random.Generator) -> Mapping[str, Any]:
    """Constants of a graph, with tokens that the chain has."""
    drawn = fixed_options(rng, VOCABULARY)
    return drawn | ({"eos_token_id": [1, 5]} if rng.random() < 0.3 else {})


def test_sequences_and_scores_are_those_of_the_runtime() -> None:
    rng = np.random.default_rng(11)
    compared = 0
    for _ in range(12):
        pairs = random_pairs(rng, 3, VOCABULARY)
        constants = draw_fixed(rng)
        engine, session = PairEngine(pairs), None
        for _ in range(12):
            drawn = options_of_graph(random_options(rng, VOCABULARY))
            assert drawn is not None
            if rng.random() < 0.3:
                drawn = replace(drawn, num_beams=1, num_return_sequences=None)
            settings = settings_for(replace(drawn, **constants), vocab_size=VOCABULARY)
            session = session or open_chain(pairs, fix(settings))
            try:
                expected = generate(engine, SOURCES, settings)
            except OptionsError:  # one of the documents has no possible summary
                assert not all(run(session, settings))
                continue
            got = run(session, settings)
            for own, other in zip(got, expected, strict=True):
                assert [x.token_ids for x in own] == [x.token_ids for x in other], settings
                np.testing.assert_allclose(
                    [x.score for x in own], [x.score for x in other], rtol=1e-5, atol=1e-5
                )
            compared += 1
    assert compared > 100


def test_a_document_that_is_done_keeps_what_it_has_found() -> None:
    """While others go on: what it could still find would be longer, and score higher."""
    options = GenerationOptions(num_beams=2, max_length=20, length_penalty=2.0)
    settings = settings_for(options, vocab_size=VOCABULARY)
    for seed in (1, 3, 5):
        pairs = random_pairs(np.random.default_rng(seed), 3, VOCABULARY)
        pairs[..., EOS] += 3
        together = run(open_chain(pairs, fix(settings)), settings)
        engine = PairEngine(pairs)
        alone = [generate(engine, [source], settings)[0] for source in SOURCES]
        assert [x[0].token_ids for x in together] == [x[0].token_ids for x in alone]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_beams": 0}, "num_beams is to be 1 to 9"),
        ({"num_beams": 10}, "num_beams is to be 1 to 9"),
        ({"max_length": 1}, "max_length is to be 2 to 24 tokens, start token included"),
        ({"max_length": 25}, "max_length is to be 2 to 24 tokens, start token included"),
        ({"early_stopping": 3}, r"early_stopping is to be 0, 1 or 2 \(never\)"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is to be 0 or more"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is to be more than 0, and finite"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty is to be more than 0"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty is to be more than 0"),
        ({"length_penalty": float("nan")}, "length_penalty is to be a finite number"),
        ({"length_penalty": float("-inf")}, "length_penalty is to be a finite number"),
        ({"num_return_sequences": 0}, "num_return_sequences is to be 1 to num_beams"),
        ({"num_return_sequences": 5}, "num_return_sequences is to be 1 to num_beams"),
    ],
)
def test_a_scalar_that_is_out_of_range_fails_by_its_name(
    changed: dict[str, Any], message: str
) -> None:
    session = open_chain(random_pairs(np.random.default_rng(0), 1, VOCABULARY), usual())
    settings = settings_for(GenerationOptions(num_beams=4, max_length=8), vocab_size=VOCABULARY)
    assert all(run(session, settings))
    with pytest.raises(Exception, match=message):  # of a class that onnxruntime does not name
        run(session, settings, **changed)


def usual() -> FixedSettings:
    return fix(settings_for(GenerationOptions(max_length=8), vocab_size=VOCABULARY))


def test_a_source_that_is_too_long_fails_by_its_length() -> None:
    session = open_chain(random_pairs(np.random.default_rng(0), 1, VOCABULARY), usual())
    scalars = {
        name: np.array(1 if name != "max_length" else 4, dtype.numpy())
        for name, dtype in SCALARS.items()
    }
    ids = np.ones((1, MAX_SOURCE + 1), np.int64)
    with pytest.raises(Exception, match="input_ids are to be 1 to 6 tokens"):
        session.run(None, {"input_ids": ids, "attention_mask": ids, **scalars})


@pytest.mark.parametrize("shapes", [((2, 1), (2, 4)), ((1, 4), (2, 4)), ((2, 4), (2, 1))])
def test_a_mask_of_another_shape_fails(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    session = open_chain(random_pairs(np.random.default_rng(0), 1, VOCABULARY), usual())
    settings = settings_for(GenerationOptions(max_length=4), vocab_size=VOCABULARY)
    scalars = {name: np.array(getattr(settings, name), SCALARS[name].numpy()) for name in SCALARS}
    ids, mask = (np.ones(shape, np.int64) for shape in shapes)
    with pytest.raises(Exception, match="attention_mask is to be as input_ids are"):
        session.run(None, {"input_ids": ids, "attention_mask": mask, **scalars})


@pytest.mark.parametrize("token", [-1, -100, VOCABULARY])
def test_what_is_no_token_fails(token: int) -> None:
    session = open_chain(random_pairs(np.random.default_rng(0), 1, VOCABULARY), usual())
    settings = settings_for(GenerationOptions(max_length=4), vocab_size=VOCABULARY)
    scalars = {name: np.array(getattr(settings, name), SCALARS[name].numpy()) for name in SCALARS}
    ids = np.array([[3, token, 1]])
    with pytest.raises(Exception, match="input_ids are to be tokens, 0 to 13"):
        session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids), **scalars})


@pytest.mark.parametrize("size", [4, 5, 6, 9, 30, 2**63 - 1])
def test_ngrams_that_are_longer_than_a_row_bans_nothing(size: int) -> None:
    pairs = random_pairs(np.random.default_rng(2), 3, VOCABULARY)
    settings = settings_for(
        GenerationOptions(num_beams=2, max_length=12, no_repeat_ngram_size=size),
        vocab_size=VOCABULARY,
    )
    expected = generate(PairEngine(pairs), SOURCES, settings)
    got = run(open_chain(pairs, fix(settings)), settings)
    assert [x[0].token_ids for x in got] == [x[0].token_ids for x in expected]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"do_sample": True}, "do_sample"),
        ({"encoder_no_repeat_ngram_size": 2}, "encoder_no_repeat_ngram_size"),
        ({"encoder_repetition_penalty": 1.2}, "encoder_repetition_penalty"),
        ({"sequence_bias": [[[3], 1.0]]}, "sequence_bias"),
        ({"exponential_decay_length_penalty": (2, 1.1)}, "exponential_decay_length_penalty"),
        ({"remove_invalid_values": True}, "remove_invalid_values"),
        ({"renormalize_logits": True}, "renormalize_logits"),
        ({"bad_words_ids": [[3, 4]]}, "bad_words_ids of several tokens"),
        ({"decoder_input_ids": [3]}, "decoder_input_ids"),
        (
            {"begin_suppress_tokens": [4], "forced_bos_token_id": 4},
            "begin_suppress_tokens that are forced",
        ),
    ],
)
def test_settings_that_the_graph_would_leave_out_are_refused(
    options: dict[str, Any], named: str
) -> None:
    settings = settings_for(GenerationOptions(max_length=8, **options), vocab_size=VOCABULARY)
    with pytest.raises(UnsupportedError, match=f"generates with {named}, which one graph"):
        fix(settings)
