"""TensorRT's attention in torch: the same as attention that moves keys, and as sparse attention."""

import pytest
import torch

from pegasus_export.dialects import block_sparse, standard, trt
from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_runtime.bundle import Architecture
from pegasus_runtime.sessions.device.seen_blocks import see_blocks

B, K, T, H, DH = 2, 3, 6, 2, 4
BLOCK, RANDOM = 4, 2
LONGEST_FULL = (5 + 2 * RANDOM) * BLOCK


def facts(pattern: str) -> Architecture:
    return Architecture(
        model_type="bigbird_pegasus",
        architecture="BigBirdPegasusForConditionalGeneration",
        vocab_size=100,
        d_model=H * DH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_heads=H,
        decoder_heads=H,
        head_dim=DH,
        attention_type="block_sparse",
        block_size=BLOCK,
        num_random_blocks=RANDOM,
        random_blocks=pattern,
    )


def test_beams_find_their_history_among_all_beams_keys() -> None:
    generator = torch.Generator().manual_seed(0)
    key, value = torch.randn(2, B, H, T, K, DH, generator=generator)
    query, new_key, new_value = torch.randn(3, B, K, H * DH, generator=generator)
    length = 4
    indirection = torch.randint(0, K, (B, K, T), generator=generator, dtype=torch.int32)
    indirection[:, :, length:] = -1
    cache = trt.BeamCache(key=key, value=value, bias=trt.history_bias(indirection))
    attended, keys, values = trt.attend_with_cache(query, new_key, new_value, cache, H)
    assert torch.equal(keys, standard.split_heads(new_key, H))
    assert torch.equal(values, standard.split_heads(new_value, H))
    for document in range(B):
        for beam in range(K):
            rows = indirection[document, beam, :length].long()
            past = torch.arange(length)
            own_keys = torch.cat([key[document][:, past, rows], keys[document, :, beam, None]], 1)
            own_values = torch.cat(
                [value[document][:, past, rows], values[document, :, beam, None]], 1
            )
            own_query = standard.split_heads(query, H)[document, :, beam, None]
            expected = standard.attend(own_query[None], own_keys[None], own_values[None], None)
            merged = standard.merge_heads(expected)[0, 0]
            torch.testing.assert_close(attended[document, beam], merged, atol=1e-6, rtol=1e-5)


def test_a_first_step_sees_nothing_but_itself() -> None:
    nothing = torch.full((B, K, T), -1, dtype=torch.int32)
    cache = trt.BeamCache(
        key=torch.ones(B, H, T, K, DH),
        value=torch.ones(B, H, T, K, DH),
        bias=trt.history_bias(nothing),
    )
    hidden = torch.randn(B, K, H * DH, generator=torch.Generator().manual_seed(0))
    attended, _, _ = trt.attend_with_cache(hidden, hidden, hidden, cache, H)
    torch.testing.assert_close(attended, hidden)


@pytest.mark.parametrize("pattern_name", ["hf-eval", "seeded"])
@pytest.mark.parametrize("length", [12, 35, LONGEST_FULL, LONGEST_FULL + 1, 44, 61])
def test_given_blocks_are_full_attention_up_to_the_threshold_and_sparse_above(
    pattern_name: str, length: int
) -> None:
    generator = torch.Generator().manual_seed(length)
    table = None
    if pattern_name == "seeded":
        table = torch.randint(1, 20, (H, 20, RANDOM), generator=generator)
    pattern = SparsePattern(
        block_size=BLOCK,
        num_random_blocks=RANDOM,
        longest_full=LONGEST_FULL,
        random_blocks=table,
    )
    padded = length + -length % BLOCK
    query, key, value = torch.randn(3, 1, padded, H * DH, generator=generator)
    mask = (torch.arange(padded) < length).long()[None]
    given = see_blocks(facts(pattern_name), padded // BLOCK, tokens=length)
    seen = trt.SeenBlocks(
        blocks=torch.from_numpy(given.blocks),
        bias=torch.from_numpy(given.bias),
        last_random=torch.from_numpy(given.last_random),
    )
    got = trt.attend_seen_blocks(query, key, value, mask, H, pattern, seen)[:, :length]
    if length > LONGEST_FULL:
        expected = block_sparse.attend_block_sparse(query, key, value, mask, H, pattern)
    else:
        expected = standard.attend_padded(query, key, value, mask, H)
    torch.testing.assert_close(got, expected[:, :length], atol=2e-6, rtol=1e-5)
