"""Bundles of lower precision through the Summarizer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.sessions.ort.graph import map_tables

OPTIONS = GenerationOptions(num_beams=4, max_new_tokens=12)
TinyBundle = Callable[..., Path]


PEGASUS, BIGBIRD = "PegasusForConditionalGeneration", "BigBirdPegasusForConditionalGeneration"
PEGASUS_X = "PegasusXForConditionalGeneration"
BUNDLES = [(PEGASUS, "int8"), (PEGASUS, "int4"), (BIGBIRD, "int8"), (BIGBIRD, "int4")]
BUNDLES += [(PEGASUS_X, "int8"), (PEGASUS_X, "int4")]


@pytest.fixture(params=BUNDLES, ids=lambda bundle: "-".join(bundle))
def summarizer(request: pytest.FixtureRequest, tiny_bundle: TinyBundle) -> Iterator[Summarizer]:
    architecture, precision = request.param
    folder = tiny_bundle(architecture, precision=precision)
    with Summarizer.load(folder, threads=1) as loaded:
        yield loaded


def sources(summarizer: Summarizer) -> list[list[int]]:
    rng = np.random.default_rng(0)
    vocab_size = summarizer.bundle.manifest.architecture.vocab_size
    return [[*rng.integers(2, vocab_size, length).tolist(), 1] for length in (57, 3, 9)]


def test_the_same_batch_gives_the_same_tokens_and_scores(summarizer: Summarizer) -> None:
    batch = sources(summarizer)
    assert summarizer.generate(batch, OPTIONS) == summarizer.generate(batch, OPTIONS)


def test_a_document_alone_gives_the_same_whatever_ran_before(summarizer: Summarizer) -> None:
    batch = sources(summarizer)
    first = summarizer.generate(batch[:1], OPTIONS)
    summarizer.generate(batch, OPTIONS)
    assert summarizer.generate(batch[:1], OPTIONS) == first


def test_a_batch_gives_what_its_documents_give_alone(summarizer: Summarizer) -> None:
    batch = sources(summarizer)
    alone = [summarizer.generate([source], OPTIONS)[0] for source in batch]
    together = summarizer.generate(batch, OPTIONS)
    assert [[x.token_ids for x in each] for each in together] == [
        [x.token_ids for x in each] for each in alone
    ]


def test_the_embedding_is_mapped_once_for_both_graphs(summarizer: Summarizer) -> None:
    tables = summarizer.bundle.manifest.tables
    # of PEGASUS-X the positions, too, which are computed and the same in both
    is_local = summarizer.bundle.manifest.architecture.attention_type == "block_local"
    positions = {"model.decoder.embed_positions.weight"} if is_local else set()
    assert set(tables) == {"model.shared.int8", "model.shared.scale"} | positions
    assert all(table.graphs == ("encoder", "decoder_step") for table in tables.values())
    facts = summarizer.bundle.manifest.architecture
    rows = map_tables(summarizer.bundle)["model.shared.int8"].array
    assert (rows.shape, rows.dtype) == ((facts.vocab_size, facts.d_model), np.int8)
    assert np.abs(rows).max() == 127


def test_fp32_has_no_tables(tiny_bundle: TinyBundle) -> None:
    assert open_bundle(tiny_bundle()).manifest.tables == {}
