"""The same modules in float64, and in float32 whose roundings fall otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from exporter.tolerances import assert_close
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify import arithmetic
from pegasus_export.verify.arithmetic import Exact, Jittered

IDS = torch.arange(2, 42).reshape(2, 20)


@torch.no_grad()
def _encode(pegasus: Pegasus) -> torch.Tensor:
    return whole.encode(pegasus, IDS, torch.ones_like(IDS))


@pytest.mark.parametrize(
    "architecture",
    ["PegasusForConditionalGeneration", "BigBirdPegasusForConditionalGeneration"],
)
def test_float64_is_that_of_widened_modules(
    tiny_checkpoint: Callable[[str], object], architecture: str
) -> None:
    from pegasus_export.checkpoint.folder import open_checkpoint
    from pegasus_export.models.loading import load_pegasus

    pegasus = load_pegasus(open_checkpoint(str(tiny_checkpoint(architecture))))
    with Exact():
        got = _encode(pegasus)
        logits = pegasus.logits(got[0])
    assert all(each.dtype == torch.float32 for each in pegasus.parameters())
    widened = pegasus.double()
    assert_close(got, _encode(widened))
    assert_close(logits, widened.logits(got[0]))


def test_a_matrix_is_widened_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, hidden = torch.nn.Linear(5, 7), torch.randn(3, 5)
    with Exact(), torch.no_grad():
        whole_matrix = layer(hidden.double())
        monkeypatch.setattr(arithmetic, "_WIDENED", 10)
        in_parts = layer(hidden.double())
    np.testing.assert_array_equal(in_parts, whole_matrix)


@pytest.mark.parametrize("of_largest", [False, True])
def test_jittered_runs_differ_by_about_their_rounding(
    tiny_pegasus: Callable[[str], Pegasus], of_largest: bool
) -> None:
    pegasus = tiny_pegasus("PegasusForConditionalGeneration")
    right = _encode(pegasus)
    errors = []
    for eps in (2.0**-20, 2.0**-10):
        with Jittered(eps, 0, of_largest=of_largest):
            one = _encode(pegasus)
        with Jittered(eps, 1, of_largest=of_largest):
            other = _encode(pegasus)
        assert not torch.equal(one, other)
        errors.append(float((one - right).abs().max()))
    assert 1e-7 < errors[0] < errors[1] / 100
    assert errors[1] < 1
