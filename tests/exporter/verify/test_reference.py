"""What a bundle is held against: inputs that reach everything, and histories that fit them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tolerances import assert_close
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify.reference import make_reference


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
    assert_close(reference.step_logits[-1], reference.logits[:, -1])
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
