"""From limits to profiles: few, fixed where attention is full, ranges where it is sparse."""

import itertools

import pytest

from pegasus_engines.plans.profiles import (
    SparseLengths,
    block_lengths,
    describe_profile,
    full_lengths,
    plan_profiles,
    sparse_ranges,
)
from pegasus_runtime.bundle import Profile

BIGBIRD = SparseLengths(longest_full=704, block_size=64)


def plan(
    max_source_tokens: int, sparse: SparseLengths | None = None, **changes: int
) -> dict[str, tuple[Profile, ...]]:
    limits = {"max_batch": 4, "num_beams": 8, "max_target_tokens": 64} | changes
    return plan_profiles(
        max_source_tokens=max_source_tokens,
        max_batch=limits["max_batch"],
        num_beams=limits["num_beams"],
        max_target_tokens=limits["max_target_tokens"],
        sparse=sparse,
    )


@pytest.mark.parametrize(
    ("longest", "lengths"),
    [
        (512, (128, 256, 512)),
        (1024, (256, 512, 1024)),
        (704, (176, 352, 704)),
        (1000, (256, 504, 1000)),
        (10, (8, 10)),
        (8, (8,)),
        (1, (1,)),
    ],
)
def test_full_attention_has_its_longest_and_halves_of_it_in_eights(
    longest: int, lengths: tuple[int, ...]
) -> None:
    assert full_lengths(longest) == lengths


@pytest.mark.parametrize(
    ("longest", "ranges"),
    [
        (704, ()),
        (705, ((768, 768, 768),)),
        (1000, ((768, 1024, 1024),)),
        (3072, ((768, 768, 768), (832, 1536, 1536), (1600, 3072, 3072))),
        (4096, ((768, 1024, 1024), (1088, 2048, 2048), (2112, 4096, 4096))),
    ],
)
def test_sparse_attention_has_ranges_of_whole_blocks(
    longest: int, ranges: tuple[tuple[int, int, int], ...]
) -> None:
    assert sparse_ranges(longest, BIGBIRD) == ranges


@pytest.mark.parametrize(
    ("longest", "lengths"),
    [(704, (192, 384, 704)), (300, (192, 320)), (64, (192,)), (1, (192,))],
)
def test_a_sparse_encoder_reads_three_whole_blocks_at_least(
    longest: int, lengths: tuple[int, ...]
) -> None:
    assert block_lengths(longest, 64) == lengths


@pytest.mark.parametrize("longest", range(1, 3000, 97))
def test_every_length_has_one_range_or_bucket_and_none_overlap(longest: int) -> None:
    profiles = plan(longest, BIGBIRD, max_batch=1)
    ranges = [profile["source"] for profile in profiles["decoder_step"]]
    assert ranges == sorted(ranges)
    assert all(low[2] < high[0] for low, high in itertools.pairwise(ranges))
    assert {size % BIGBIRD.block_size for source in ranges for size in source} == {0}
    sparse = [source for source in ranges if source[0] > BIGBIRD.longest_full]
    if sparse:  # neighbouring ranges leave no whole block out
        assert sparse[0][0] == BIGBIRD.longest_full + BIGBIRD.block_size
        starts, ends = [low for low, _, _ in sparse[1:]], [high for _, _, high in sparse[:-1]]
        assert starts == [end + BIGBIRD.block_size for end in ends]
    assert ranges[-1][2] == max(192, longest + -longest % 64)


def test_a_sparse_encoder_sees_all_blocks_of_short_sources_and_five_of_long_ones() -> None:
    full, sparse = plan(1500, BIGBIRD)["encoder"][2:4]
    assert full == {
        "batch": (1, 1, 1),
        "source": (704, 704, 704),
        "middle": (9, 9, 9),
        "seen": (11, 11, 11),
    }
    assert sparse == {
        "batch": (1, 1, 1),
        "source": (768, 768, 768),
        "middle": (10, 10, 10),
        "seen": (5, 5, 5),
    }


def test_encoders_take_one_document_and_decoders_one_or_the_most() -> None:
    profiles = plan(512)
    assert list(profiles) == ["encoder", "decoder_step"]
    assert profiles["encoder"][0] == {"batch": (1, 1, 1), "source": (128, 128, 128)}
    assert profiles["decoder_step"][-1] == {
        "batch": (4, 4, 4),
        "beams": (8, 8, 8),
        "time": (32, 64, 64),
        "source": (512, 512, 512),
    }
    batches = [profile["batch"][1] for profile in profiles["decoder_step"]]
    assert batches == [1, 1, 1, 4, 4, 4]


def test_a_batch_of_one_needs_no_second_set_of_decoders() -> None:
    assert len(plan(512, max_batch=1)["decoder_step"]) == 3


def test_decoders_have_the_sources_of_the_encoder() -> None:
    profiles = plan(4096, BIGBIRD, max_batch=1)
    sources = [profile["source"] for profile in profiles["decoder_step"]]
    assert sources == [profile["source"] for profile in profiles["encoder"]]


@pytest.mark.parametrize("changes", [{"max_batch": 0}, {"num_beams": 0}, {"max_target_tokens": -1}])
def test_limits_below_one_are_refused(changes: dict[str, int]) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(ValueError, match=f"^{name} is {value}, expected at least 1$"):
        plan(512, **changes)


def test_lengths_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_source_tokens is 0, expected at least 1$"):
        plan(0)
    with pytest.raises(ValueError, match=r"^longest is 0, expected at least 1$"):
        full_lengths(0)
    with pytest.raises(ValueError, match=r"^longest_full is 0, expected at least 1$"):
        SparseLengths(longest_full=0, block_size=64)
    with pytest.raises(ValueError, match=r"^block_size is -8, expected at least 1$"):
        SparseLengths(longest_full=704, block_size=-8)


def test_a_profile_is_described_in_words() -> None:
    profile = {"batch": (1, 1, 1), "source": (768, 1024, 1024)}
    assert describe_profile(profile) == "batch 1, source 768 to 1024"
