"""Every way to compute block-sparse attention gives the same."""

import numpy as np
import pytest

from attention_variants import VARIANTS, AttentionSize
from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import Heads
from sparse_attention import build_variant, random_feeds, run_variant

SIZE = AttentionSize(
    tokens=10 * 32,
    heads=Heads(count=2, dim=8),
    pattern=SparsePattern(block_size=32, num_random_blocks=3, longest_full=11 * 32),
)
SPARSE = [name for name, variant in VARIANTS.items() if variant.is_sparse]


@pytest.mark.parametrize("name", SPARSE)
def test_a_sparse_variant_gives_what_the_bundles_compute(name: str) -> None:
    feeds = random_feeds(SIZE)
    got, expected = (
        run_variant(build_variant(VARIANTS[x], SIZE, threads=1), feeds) for x in (name, "ort")
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_full_attention_is_something_else() -> None:
    feeds = random_feeds(SIZE)
    got, other = (
        run_variant(build_variant(VARIANTS[x], SIZE, threads=1), feeds) for x in ("full", "ort")
    )
    assert np.abs(got - other).max() > 0.1
