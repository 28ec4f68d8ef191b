"""The sizes that a batch runs at: the smallest that plans were built for."""

import pytest

from pegasus_runtime.bundle import PlanSpec
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device.shapes import (
    BlockRule,
    DecoderSizes,
    fit_decoder,
    fit_encoder,
)

BLOCKS = BlockRule(block_size=64, longest_full=704)


def fixed(size: int) -> tuple[int, int, int]:
    return size, size, size


def sparse_plans() -> PlanSpec:
    """As `plan_profiles` makes them for 2048 tokens and blocks of 64."""
    full = [{"source": fixed(64 * n), "middle": fixed(n - 2), "seen": fixed(n)} for n in (3, 6, 11)]
    ranges = [(768, 1024, 1024), (1088, 2048, 2048)]
    sparse = [
        {"source": each, "middle": (each[0] // 64 - 2, 30, 30), "seen": fixed(5)} for each in ranges
    ]
    decoder = [
        {
            "batch": fixed(batch),
            "beams": fixed(8),
            "time": (32, 64, 64),
            "source": profile["source"],
        }
        for batch in (1, 4)
        for profile in (*full, *sparse)
    ]
    return PlanSpec(
        num_beams=8, profiles={"encoder": (*full, *sparse), "decoder_step": (*decoder,)}
    )


FULL = PlanSpec(num_beams=8, profiles={"encoder": ({"source": fixed(128)}, {"source": fixed(512)})})


@pytest.mark.parametrize(("source", "length"), [(1, 128), (128, 128), (129, 512), (512, 512)])
def test_a_document_is_padded_to_the_next_size(source: int, length: int) -> None:
    assert fit_encoder(FULL, source) == length


@pytest.mark.parametrize(
    ("source", "length"),
    [(1, 192), (193, 384), (385, 704), (704, 704), (705, 768), (1024, 1024), (1030, 1088)],
)
def test_a_sparse_document_is_padded_to_whole_blocks_and_no_further(
    source: int, length: int
) -> None:
    assert fit_encoder(sparse_plans(), source, blocks=BLOCKS) == length


@pytest.mark.parametrize(("source", "length"), [(1, 192), (192, 192), (193, 256), (705, 768)])
def test_without_plans_a_document_has_its_own_length_in_blocks(source: int, length: int) -> None:
    assert fit_encoder(None, source) == source
    assert fit_encoder(None, source, blocks=BLOCKS) == length


def test_a_document_over_every_size_is_refused() -> None:
    message = "graph encoder was not built for source 513, but for source 128 to 128; source 512 to"
    with pytest.raises(EngineError, match=message):
        fit_encoder(FULL, 513)
    with pytest.raises(EngineError, match="was not built for source 2049"):
        fit_encoder(sparse_plans(), 2049, blocks=BLOCKS)


@pytest.mark.parametrize(
    ("wanted", "fitted"),
    [
        (DecoderSizes(1, 8, 192, 20), DecoderSizes(1, 8, 192, 64, 32)),
        (DecoderSizes(2, 8, 200, 64), DecoderSizes(4, 8, 384, 64, 32)),
        (DecoderSizes(1, 8, 768, 64), DecoderSizes(1, 8, 1024, 64, 32)),
        (DecoderSizes(3, 8, 1088, 64), DecoderSizes(4, 8, 2048, 64, 32)),
    ],
)
def test_a_batch_runs_at_the_largest_sizes_of_the_smallest_profile(
    wanted: DecoderSizes, fitted: DecoderSizes
) -> None:
    assert fit_decoder(sparse_plans(), wanted) == fitted


@pytest.mark.parametrize(
    ("wanted", "fitted"),
    [
        (DecoderSizes(3, 5, 77, 20), DecoderSizes(3, 5, 128, 32)),
        (DecoderSizes(1, 5, 128, 32), DecoderSizes(1, 5, 128, 32)),
        (DecoderSizes(1, 5, 129, 33), DecoderSizes(1, 5, 256, 64)),
    ],
)
def test_without_plans_sizes_are_rounded_up_so_that_batches_share_memory(
    wanted: DecoderSizes, fitted: DecoderSizes
) -> None:
    assert fit_decoder(None, wanted) == fitted


@pytest.mark.parametrize(
    ("time", "least", "times"),
    [
        (20, 1, (20,)),
        (32, 32, (32,)),
        (64, 32, (32, 64)),
        (64, 64, (64,)),
        (200, 32, (32, 64, 128, 200)),
        (256, 100, (128, 256)),
    ],
)
def test_a_cache_grows_within_the_range_of_its_profile(
    time: int, least: int, times: tuple[int, ...]
) -> None:
    assert DecoderSizes(1, 8, 128, time, least).times == times


@pytest.mark.parametrize(
    "wanted",
    [DecoderSizes(5, 8, 192, 64), DecoderSizes(1, 8, 192, 65), DecoderSizes(1, 8, 2049, 64)],
)
def test_a_batch_over_every_size_is_refused(wanted: DecoderSizes) -> None:
    with pytest.raises(EngineError, match=r"graph decoder_step was not built for .* --max-batch"):
        fit_decoder(sparse_plans(), wanted)
