"""What a bundle is held against: inputs that reach everything, and histories that fit them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from exporter.tiny_checkpoint import ARCHITECTURES, write_tiny_checkpoint
from exporter.tolerances import assert_close
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.graphs import heads, whole
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify.arithmetic import Exact
from pegasus_export.verify.reference import make_reference

ENCODERS = {each for each in ARCHITECTURES if not each.endswith("CausalLM")}


def test_histories_are_what_tokens_and_parents_lead_to(
    tiny_pegasus: Callable[[str], Pegasus],
) -> None:
    reference = make_reference(tiny_pegasus("PegasusForConditionalGeneration"))
    steps, batch, rows = reference.parents.shape
    histories = [[int(token)] for token in reference.step_tokens[0]]
    for step in range(1, steps):
        parents = reference.parents[step] + rows * np.arange(batch)[:, None]
        histories = [
            [*histories[parent], int(token)]
            for parent, token in zip(parents.flat, reference.step_tokens[step], strict=True)
        ]
    assert histories == reference.histories.tolist()
    logits = reference.step_log_probs[-1].exact + reference.step_normalizers[-1].exact
    assert_close(logits, reference.logits.exact[:, -1])
    lengths = {len(source) for source in reference.short.token_ids}
    assert len(lengths) > 1  # so that there is padding
    assert any(
        not np.array_equal(parents, np.broadcast_to(np.arange(rows), parents.shape))
        for parents in reference.parents[2:]
    )


def test_padding_comes_after_the_tokens_and_is_masked(
    tiny_pegasus: Callable[[str], Pegasus],
) -> None:
    reference = make_reference(tiny_pegasus("PegasusForConditionalGeneration"))
    input_ids, mask = reference.short.padded(9)
    for row, source in enumerate(reference.short.token_ids):
        assert input_ids[row, : len(source)].tolist() == source
        assert mask[row].sum() == len(source)
        assert set(input_ids[row, len(source) :].tolist()) <= {9}


@pytest.mark.parametrize("positions", [1, 2, 6])
def test_a_model_with_few_positions_has_short_references(tmp_path: Path, positions: int) -> None:
    folder = write_tiny_checkpoint(tmp_path, max_position_embeddings=positions)
    reference = make_reference(load_pegasus(open_checkpoint(str(folder))))
    assert max(map(len, reference.short.token_ids)) == positions
    assert reference.histories.shape[1] == min(positions, 5)


@pytest.mark.parametrize("pad", [0, 1, 7])
@pytest.mark.parametrize("architecture", sorted(ENCODERS))
def test_what_pads_changes_nothing_that_is_expected(
    tmp_path: Path, architecture: str, pad: int
) -> None:
    """Not even where padding is EOS, at whose last place a text is classified."""
    folder = write_tiny_checkpoint(tmp_path, architecture=architecture, pad_token_id=pad)
    pegasus = load_pegasus(open_checkpoint(str(folder)))
    batch = make_reference(pegasus).short
    for row, source in enumerate(batch.token_ids):
        alone = _alone(pegasus, source)
        if pegasus.classification_head is not None:
            assert_close(batch.head_outputs[0].exact[row : row + 1], alone)
        else:
            rows = slice(0, len(source)) if row == 0 else slice(-len(source), None)
            assert_close(batch.encoded.exact[rows], alone)


@torch.no_grad()
def _alone(pegasus: Pegasus, source: list[int]) -> torch.Tensor:
    ids = torch.tensor([source])
    with Exact():
        if pegasus.classification_head is not None:
            return heads.run_head(pegasus, ids, torch.ones_like(ids))[0]
        return whole.encode(pegasus, ids, torch.ones_like(ids))[0]
