"""Weights into modules: positions of any number, and biases only where they are not zero."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers.models.pegasus.modeling_pegasus import PegasusSinusoidalPositionalEmbedding

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.network import TOKEN_TABLES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import CheckpointError
from pegasus_export.models.loading import load_pegasus, sinusoidal_positions
from pegasus_export.models.pegasus import Pegasus

ENCODER_POSITIONS = "model.encoder.embed_positions.weight"
DECODER_POSITIONS = "model.decoder.embed_positions.weight"
POSITIONS = 96  # of the tiny checkpoints


def _rewritten(folder: Path, change: Callable[[str, Tensor], Tensor], **options: Any) -> Path:
    """A checkpoint whose every tensor went through `change`."""
    write_tiny_checkpoint(folder, **options)
    path = folder / "model.safetensors"
    save_file({name: change(name, x.clone()) for name, x in load_file(path).items()}, path)
    return folder


def _load(folder: Path, **options: Any) -> Pegasus:
    return load_pegasus(open_checkpoint(str(folder)), **options)


def _encoder_positions(pegasus: Pegasus) -> Tensor:
    assert pegasus.model.encoder is not None
    return pegasus.model.encoder.embed_positions.weight


@pytest.mark.parametrize("shape", [(1, 2), (7, 6), (96, 32), (1024, 1024)])
def test_positions_are_exactly_those_of_transformers(shape: tuple[int, int]) -> None:
    oracle: Any = PegasusSinusoidalPositionalEmbedding(*shape)
    oracle.weight.data = oracle.create_weight()
    assert torch.equal(sinusoidal_positions(*shape), oracle.weight)


def test_positions_that_the_file_lacks_are_computed(tmp_path: Path) -> None:
    pegasus = _load(write_tiny_checkpoint(tmp_path, weights="bin"))
    expected = sinusoidal_positions(POSITIONS, 32)
    assert torch.equal(_encoder_positions(pegasus), expected)
    assert torch.equal(pegasus.model.decoder.embed_positions.weight, expected)


def _with_other_positions(name: str, tensor: Tensor) -> Tensor:
    return tensor + 0.25 if "embed_positions" in name else tensor


def test_positions_in_the_file_are_used_as_they_are(tmp_path: Path) -> None:
    pegasus = _load(_rewritten(tmp_path, _with_other_positions))
    stored = load_file(tmp_path / "model.safetensors")
    assert torch.equal(_encoder_positions(pegasus), stored[ENCODER_POSITIONS])
    assert torch.equal(pegasus.model.decoder.embed_positions.weight, stored[DECODER_POSITIONS])


@pytest.mark.parametrize("count", [2, POSITIONS, 300])
def test_the_encoder_gets_as_many_positions_as_are_asked_for(tmp_path: Path, count: int) -> None:
    pegasus = _load(write_tiny_checkpoint(tmp_path), max_source_tokens=count)
    positions = _encoder_positions(pegasus)
    assert positions.shape == (count, 32)
    torch.testing.assert_close(positions, sinusoidal_positions(count, 32), rtol=0, atol=1e-6)
    assert pegasus.model.decoder.embed_positions.weight.shape == (POSITIONS, 32)


def test_a_decoder_that_reads_its_source_has_as_many_positions(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path)
    for asked, count in ((2, POSITIONS), (POSITIONS, POSITIONS), (300, 300)):
        pegasus = _load(folder, max_source_tokens=asked, max_target_tokens=asked)
        positions = pegasus.model.decoder.embed_positions.weight
        torch.testing.assert_close(positions, sinusoidal_positions(count, 32), rtol=0, atol=1e-6)


def test_positions_that_are_no_sinusoids_are_not_continued(tmp_path: Path) -> None:
    folder = _rewritten(tmp_path, _with_other_positions)
    with pytest.raises(
        CheckpointError,
        match=r"max-source-tokens is 97, the checkpoint has 96 positions that are not sinusoidal "
        r"and cannot be continued: ask for at most 96",
    ):
        _load(folder, max_source_tokens=POSITIONS + 1)
    assert len(_encoder_positions(_load(folder, max_source_tokens=POSITIONS - 1))) == POSITIONS - 1


def test_a_decoder_alone_has_no_source_whose_positions_could_change(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture="PegasusForCausalLM")
    pegasus = _load(folder, max_source_tokens=300)
    assert pegasus.model.decoder.embed_positions.weight.shape == (POSITIONS, 32)


def _without_attention_biases(name: str, tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if "_proj.bias" in name else tensor


def test_biases_that_are_zero_are_dropped(tmp_path: Path) -> None:
    names = {
        name
        for name in _load(_rewritten(tmp_path, _without_attention_biases)).state_dict()
        if name.endswith("bias")
    }
    assert not [name for name in names if "_proj" in name]
    assert "model.encoder.layers.0.fc1.bias" in names
    assert "final_logits_bias" in names


def test_a_bias_with_one_entry_is_kept(tmp_path: Path) -> None:
    def change(name: str, tensor: Tensor) -> Tensor:
        tensor = _without_attention_biases(name, tensor)
        if name == "model.decoder.layers.1.encoder_attn.v_proj.bias":
            tensor[-1] = 1e-6
        return tensor

    names = _load(_rewritten(tmp_path, change)).state_dict()
    kept = [name for name in names if name.endswith("_proj.bias")]
    assert kept == ["model.decoder.layers.1.encoder_attn.v_proj.bias"]


def test_a_final_bias_of_zeros_or_none_at_all_is_dropped(tmp_path: Path) -> None:
    def change(name: str, tensor: Tensor) -> Tensor:
        return torch.zeros_like(tensor) if name == "final_logits_bias" else tensor

    assert _load(_rewritten(tmp_path, change)).final_logits_bias is None
    state = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: x for name, x in state.items() if name != "final_logits_bias"},
        tmp_path / "model.safetensors",
    )
    assert _load(tmp_path).final_logits_bias is None


def test_the_module_is_in_inference_mode_and_its_tied_head_is_the_embedding(
    tmp_path: Path,
) -> None:
    pegasus = _load(write_tiny_checkpoint(tmp_path))
    assert not pegasus.training
    assert not any(parameter.requires_grad for parameter in pegasus.parameters())
    assert pegasus.lm_head is None
    oracle = transformers.PegasusForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(pegasus.model.shared.weight, oracle.lm_head.weight)


@pytest.mark.parametrize("copies", [("lm_head.weight",), TOKEN_TABLES[1:], TOKEN_TABLES[1:2]])
@pytest.mark.parametrize("architecture", ["PegasusForConditionalGeneration", "PegasusForCausalLM"])
def test_copies_of_a_tied_matrix_that_differ_are_kept_as_transformers_keeps_them(
    tmp_path: Path, copies: tuple[str, ...], architecture: str
) -> None:
    write_tiny_checkpoint(tmp_path, architecture=architecture)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    first = next(name for name in TOKEN_TABLES if name in state)
    for number, name in enumerate(copies, start=1):
        state[name] = state[first] * (1 + number / 10)
    if architecture == "PegasusForCausalLM":
        state.pop("model.encoder.embed_tokens.weight", None)
    save_file(state, path)
    oracle = getattr(transformers, architecture).from_pretrained(tmp_path).eval()
    checkpoint = open_checkpoint(str(tmp_path))
    pegasus = load_pegasus(checkpoint)
    for name, tensor in oracle.state_dict().items():
        if name in pegasus.state_dict() and name in TOKEN_TABLES:
            assert torch.equal(tensor, pegasus.state_dict()[name]), name
    apart = len({t.data_ptr() for n, t in oracle.state_dict().items() if n in TOKEN_TABLES}) > 1
    assert any("ties the embeddings" in note for note in checkpoint.notes) == apart
