"""What TensorFlow, Flax and the original releases wrote is read as the torch model that it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pegasus_export.checkpoint.formats.flax_msgpack import read_flax_msgpack
from pegasus_export.checkpoint.formats.keras_h5 import read_keras_h5
from pegasus_export.checkpoint.formats.tf1_checkpoint import read_tf1_checkpoint

# By the libraries themselves: write_files.py says how.
WRITTEN = Path(__file__).parent / "written"
BIAS = "final_logits_bias"
POSITIONS = {f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")}

State = dict[str, torch.Tensor]
Reader = Callable[[Path], State]


def _twin(family: str) -> State:
    return load_file(WRITTEN / family / "model.safetensors")


def _canonical(state: State) -> State:
    return {
        name if name.startswith(("model.", BIAS)) else f"model.{name}": tensor
        for name, tensor in state.items()
    }


@pytest.mark.parametrize(
    ("folder", "read", "absent"),
    [
        ("h5", read_keras_h5, set()),
        ("h5-sharded", read_keras_h5, set()),
        ("h5-base", read_keras_h5, {BIAS}),
        ("flax", read_flax_msgpack, POSITIONS),
        ("flax-sharded", read_flax_msgpack, POSITIONS),
        ("flax-base", read_flax_msgpack, {BIAS, *POSITIONS}),
    ],
)
def test_what_transformers_other_classes_wrote_is_the_torch_model(
    folder: str, read: Reader, absent: set[str]
) -> None:
    files = [path for path in sorted((WRITTEN / folder).iterdir()) if path.suffix != ".json"]
    assert (len(files) > 1) == folder.endswith("sharded")
    state = _canonical({name: tensor for path in files for name, tensor in read(path).items()})
    twin = _twin("pegasus")
    assert set(twin) - set(state) == absent
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert torch.equal(tensor, twin[name]), name


def test_bfloat16_stays_bfloat16() -> None:
    state = read_flax_msgpack(WRITTEN / "flax-bfloat16" / "flax_model.msgpack")
    twin = _twin("pegasus")
    for name, tensor in state.items():
        assert torch.equal(tensor, twin[name].to(torch.bfloat16)), name


def test_the_original_pegasus_has_zeros_where_its_conversion_has_them() -> None:
    """Biases of the attention and the row of padding; torch's other weights are as they were."""
    state = read_tf1_checkpoint(WRITTEN / "tf1-pegasus" / "model.ckpt-7")
    twin = _twin("pegasus")
    assert set(twin) - set(state) == {BIAS, *POSITIONS}
    assert set(state) <= set(twin)
    twin["model.shared.weight"][0] = 0.0
    for name, tensor in state.items():
        expected = torch.zeros_like(twin[name]) if name.endswith("_proj.bias") else twin[name]
        assert tensor.is_contiguous()
        assert torch.equal(tensor, expected), name


def test_the_original_bigbird_keeps_the_row_of_padding_and_loses_biases_that_are_zero() -> None:
    state = read_tf1_checkpoint(WRITTEN / "tf1-bigbird" / "model.ckpt-7")
    twin = _twin("bigbird")
    assert set(twin) ^ set(state) == {BIAS}
    assert twin["model.shared.weight"][0].any()
    for name, tensor in state.items():
        assert torch.equal(tensor, twin[name]), name


def test_a_file_is_not_changed_where_its_tensors_are(tmp_path: Path) -> None:
    for path in (WRITTEN / "tf1-pegasus").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = tmp_path / "model.ckpt-7.data-00000-of-00001"
    before = data.read_bytes()
    state = read_tf1_checkpoint(tmp_path / "model.ckpt-7")
    assert not state["model.shared.weight"][0].any()
    state["model.shared.weight"].fill_(3.0)
    assert data.read_bytes() == before
