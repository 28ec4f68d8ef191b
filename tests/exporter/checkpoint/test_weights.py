"""Weights of every format and age are read under one set of names, and damage is refused."""

import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from exporter.tiny_checkpoint import WeightsFormat, write_tiny_checkpoint
from pegasus_engines.network import FINAL_BIAS as BIAS
from pegasus_engines.network import POSITIONS, TOKEN_TABLES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.checkpoint.weights import read_weights
from pegasus_export.errors import CheckpointError, UnsupportedError

State = dict[str, torch.Tensor]
SHARED, ENCODER, DECODER, HEAD = TOKEN_TABLES
LAYER = "model.encoder.layers.0"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every name that the network has, with tied names only once, as an exporter would ask."""
    config = transformers.PegasusConfig.from_pretrained(folder)
    state = transformers.PegasusForConditionalGeneration(config).state_dict()
    return {name: tuple(t.shape) for name, t in state.items() if name not in TOKEN_TABLES[1:]}


def _read(
    folder: Path,
    expected: dict[str, tuple[int, ...]] | None = None,
    optional: tuple[str, ...] = (*POSITIONS, BIAS),
) -> State:
    wanted = _shapes(folder) if expected is None else expected
    return read_weights(open_checkpoint(str(folder)), wanted, optional=optional)


def _rewrite(folder: Path, change: Callable[[State], State | None]) -> None:
    """Replace model.safetensors by what change makes of its tensors."""
    path = folder / "model.safetensors"
    state = {name: tensor.clone() for name, tensor in load_file(path).items()}
    changed = change(state)
    save_file(state if changed is None else changed, path)


def _without(state: State, names: tuple[str, ...]) -> State:
    return {name: tensor for name, tensor in state.items() if name not in names}


def _oracle(folder: Path) -> State:
    model = transformers.PegasusForConditionalGeneration.from_pretrained(folder)
    return dict(model.state_dict())


@pytest.mark.parametrize("weights", get_args(WeightsFormat))
def test_every_format_gives_what_transformers_wrote(tmp_path: Path, weights: WeightsFormat) -> None:
    write_tiny_checkpoint(tmp_path / "reference")
    oracle = _oracle(tmp_path / "reference")
    state = _read(write_tiny_checkpoint(tmp_path / "read", weights=weights))
    names = {name for name in _shapes(tmp_path / "read") if "positions" not in name}
    assert set(state) - set(POSITIONS) == names
    assert (set(POSITIONS) <= set(state)) == weights.startswith("safetensors")
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert torch.equal(tensor, oracle[name]), name


@pytest.mark.parametrize("weights", ["safetensors", "bin"])
def test_a_model_without_head_gets_its_prefix(tmp_path: Path, weights: WeightsFormat) -> None:
    write_tiny_checkpoint(tmp_path, architecture="PegasusModel", weights=weights)
    state = _read(tmp_path)
    oracle = transformers.PegasusModel.from_pretrained(tmp_path).state_dict()
    assert BIAS not in state
    for name, tensor in state.items():
        assert torch.equal(tensor, oracle[name.removeprefix("model.")]), name


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("weights", ["safetensors", "bin"])
def test_a_decoder_alone_keeps_its_names(
    tmp_path: Path, weights: WeightsFormat, tied: bool
) -> None:
    write_tiny_checkpoint(
        tmp_path, architecture="PegasusForCausalLM", weights=weights, tie_word_embeddings=tied
    )
    oracle = transformers.PegasusForCausalLM.from_pretrained(tmp_path).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in oracle.items()}
    for name, tensor in _read(tmp_path, expected).items():
        assert torch.equal(tensor, oracle[name]), name
    with pytest.raises(CheckpointError, match=r"34 tensors missing: model\.encoder\."):
        _read(tmp_path)


@pytest.mark.parametrize("present", TOKEN_TABLES)
def test_any_one_of_the_tied_names_is_enough(tmp_path: Path, present: str) -> None:
    write_tiny_checkpoint(tmp_path)
    shared = load_file(tmp_path / "model.safetensors")[SHARED].clone()
    _rewrite(tmp_path, lambda state: state.update({present: state.pop(SHARED)}))
    expected = _shapes(tmp_path) | {name: tuple(shared.shape) for name in TOKEN_TABLES}
    state = _read(tmp_path, expected)
    for name in TOKEN_TABLES:
        assert torch.equal(state[name], shared)
        assert state[name].data_ptr() == state[SHARED].data_ptr(), "one matrix in memory"


def test_equal_copies_of_the_embedding_are_one(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    _rewrite(
        tmp_path, lambda state: state.update({name: state[SHARED].clone() for name in TOKEN_TABLES})
    )
    assert set(_read(tmp_path)) == set(_shapes(tmp_path))


@pytest.mark.parametrize("name", TOKEN_TABLES[1:])
@pytest.mark.parametrize(
    "change", [lambda one: one + 1, lambda one: one.half(), lambda one: one[1:]]
)
def test_a_copy_that_differs_is_kept_if_asked_for_and_refused_otherwise(
    tmp_path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    write_tiny_checkpoint(tmp_path)
    _rewrite(tmp_path, lambda state: state.update({name: change(state[SHARED]).clone()}))
    with pytest.raises(
        CheckpointError, match=rf"has a {name} that differs from its {SHARED}, expected one"
    ):
        _read(tmp_path)
    copy = load_file(tmp_path / "model.safetensors")[name]
    state = _read(tmp_path, _shapes(tmp_path) | {name: tuple(copy.shape)})
    assert torch.equal(state[name], copy.float())
    if copy.shape == state[SHARED].shape and copy.dtype == torch.float32:
        assert torch.equal(state[name], _oracle(tmp_path)[name])


@pytest.mark.parametrize("weights", ["safetensors", "bin"])
def test_an_untied_head_is_its_own_matrix(tmp_path: Path, weights: WeightsFormat) -> None:
    write_tiny_checkpoint(tmp_path, tie_word_embeddings=False, weights=weights)
    oracle = _oracle(tmp_path)
    expected = {name: tuple(tensor.shape) for name, tensor in oracle.items()}
    state = _read(tmp_path, expected)
    assert not torch.equal(state[HEAD], state[SHARED])
    for name in TOKEN_TABLES:
        assert torch.equal(state[name], oracle[name])


def test_an_untied_head_cannot_be_replaced_by_the_embedding(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, tie_word_embeddings=False)
    _rewrite(tmp_path, lambda state: _without(state, TOKEN_TABLES[1:]))
    shape = _shapes(tmp_path)[SHARED]
    with pytest.raises(CheckpointError, match=r"1 tensor missing: lm_head\.weight: check"):
        _read(tmp_path, _shapes(tmp_path) | dict.fromkeys(TOKEN_TABLES, shape))
    state = _read(tmp_path, _shapes(tmp_path) | {ENCODER: shape, DECODER: shape})
    assert torch.equal(state[ENCODER], state[SHARED]), "as transformers 4 writes it"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weights", ["safetensors", "bin"])
def test_half_precision_becomes_float32(
    tmp_path: Path, dtype: torch.dtype, weights: WeightsFormat
) -> None:
    write_tiny_checkpoint(tmp_path / "half", dtype=dtype, weights=weights)
    write_tiny_checkpoint(tmp_path / "full")
    full = _read(tmp_path / "full")
    for name, tensor in _read(tmp_path / "half").items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, full[name].to(dtype).float()), name


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.complex64])
def test_another_type_is_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    write_tiny_checkpoint(tmp_path)
    name = f"{LAYER}.fc1.weight"
    _rewrite(tmp_path, lambda state: state.update({name: state[name].to(dtype)}))
    advice = "check that" if dtype.itemsize > 1 else "weights of 8 bits are quantised: give"
    with pytest.raises(
        CheckpointError, match=rf"1 tensor of another type .*: {name} is {str(dtype)[6:]}: {advice}"
    ):
        _read(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32, torch.int16])
def test_wider_floats_and_integers_become_what_transformers_makes_of_them(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    write_tiny_checkpoint(tmp_path)
    name = f"{LAYER}.fc1.weight"
    _rewrite(tmp_path, lambda state: state.update({name: (1.1 * state[name]).to(dtype)}))
    model = transformers.PegasusForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.float32
    )
    assert torch.equal(_read(tmp_path)[name], model.state_dict()[name])


def test_all_that_does_not_fit_is_listed_in_one_message(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)

    def damage(state: State) -> None:
        for name in [name for name in state if name.startswith(LAYER)]:
            del state[name]
        state[BIAS] = torch.zeros(1, 7)
        state["model.adapter.weight"] = torch.zeros(1)

    _rewrite(tmp_path, damage)
    with pytest.raises(CheckpointError, match="do not fit its config") as caught:
        _read(tmp_path)
    message = str(caught.value)
    assert f"16 tensors missing: {LAYER}.self_attn.k_proj.weight, " in message
    assert " and 11 more; 1 tensor of another shape: " in message
    assert f"{BIAS} is [1, 7], expected [1, 189]; " in message
    assert "1 tensor not expected: model.adapter.weight: check that both" in message
    assert "\n" not in message


def test_what_is_optional_may_be_missing_and_is_read_where_it_is_there(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    assert {BIAS, *POSITIONS} <= set(_read(tmp_path))
    _rewrite(tmp_path, lambda state: _without(state, (BIAS, *POSITIONS)))
    assert not {BIAS, *POSITIONS} & set(_read(tmp_path))
    with pytest.raises(CheckpointError, match=r"3 tensors missing: final_logits_bias, model\.enc"):
        _read(tmp_path, optional=())


def test_biases_that_no_layer_has_are_zero_as_transformers_has_them(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    ends = ("q_proj.bias", "k_proj.bias", "fc1.bias")
    _rewrite(tmp_path, lambda state: {key: x for key, x in state.items() if not key.endswith(ends)})
    oracle, checkpoint = _oracle(tmp_path), open_checkpoint(str(tmp_path))
    state = read_weights(checkpoint, _shapes(tmp_path), optional=POSITIONS)
    for name, tensor in state.items():
        assert torch.equal(tensor, oracle[name]), name
    [note] = checkpoint.notes
    assert note.startswith("16 tensors that no layer has taken for zero: model.encoder.layers.0.")


def test_positions_and_version_marks_that_nobody_asked_for_are_harmless(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    _rewrite(tmp_path, lambda state: state.update({"encoder.version": torch.tensor([3.0])}))
    expected = {name: shape for name, shape in _shapes(tmp_path).items() if name not in POSITIONS}
    assert set(_read(tmp_path, expected)) == set(expected)


def test_a_name_with_and_without_prefix_is_refused(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    _rewrite(tmp_path, lambda state: state.update({"shared.weight": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"holds model\.shared\.weight a second time"):
        _read(tmp_path)


def test_a_shard_must_hold_what_the_index_promises(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, weights="bin-sharded")
    path = tmp_path / "pytorch_model.bin.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["lm_head.other"] = index["weight_map"]["lm_head.weight"]
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"index promises: 1 tensor missing: lm_head\.other"):
        _read(tmp_path)


LIGHTNING = {"epoch": 3, "loops": {"fit": [1]}, "optimizer_states": [{"lr": 0.1}]}
WRAPPED: dict[str, Callable[[State], object]] = {
    "state_dict": lambda state: {"state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"step": torch.zeros(1)}, "step": 7},
    "both": lambda state: {"model": {"state_dict": state}},
    "lightning": lambda state: (
        LIGHTNING | {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}
    ),
    "metrics": lambda state: (
        LIGHTNING
        | {"state_dict": {f"net.{n}": t for n, t in state.items()} | {"loss.w": torch.zeros(2)}}
    ),
    "distributed": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "fsdp": lambda state: {
        name.replace(".layers.0.", ".layers.0._fsdp_wrapped_module."): tensor
        for name, tensor in state.items()
    },
    "value-head": lambda state: (
        {f"pretrained_model.{name}": t for name, t in state.items()}
        | {"v_head.summary.weight": torch.zeros(1, 32)}
    ),
    "gamma": lambda state: {
        name.replace("norm.weight", "norm.gamma").replace("norm.bias", "norm.beta"): tensor
        for name, tensor in state.items()
    },
    "buffers": lambda state: state | {"model.encoder.position_ids": torch.zeros(1, 96)},
    "flat-bias": lambda state: state | {BIAS: state[BIAS][0]},
    "other-heads": lambda state: (
        state
        | {"classification_head.dense.weight": torch.zeros(2), "lm_head.bias": torch.zeros(189)}
    ),
    "beside": lambda state: (
        state
        | {"classifier.weight": torch.zeros(3, 32), "logits_scale": torch.ones(())}
        | {"aux.0.weight": torch.zeros(2, 2)}
    ),
    "no-tensors": lambda state: state | {"x": None, "_metadata": {}, "epoch": 3, "names": ["a"]},
}


@pytest.mark.parametrize("architecture", ["PegasusForConditionalGeneration", "PegasusModel"])
@pytest.mark.parametrize("wrapper", WRAPPED)
def test_a_model_inside_what_training_tools_put_around_it_is_found(
    tmp_path: Path, wrapper: str, architecture: str
) -> None:
    write_tiny_checkpoint(tmp_path, weights="bin", architecture=architecture)
    if wrapper == "flat-bias" and architecture == "PegasusModel":
        pytest.skip("it has no bias of the logits")
    expected = _read(tmp_path)
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    (tmp_path / "pytorch_model.bin").unlink()  # the expected are mapped to it
    torch.save(WRAPPED[wrapper](state), tmp_path / "pytorch_model.bin")
    checkpoint = open_checkpoint(str(tmp_path))
    state = read_weights(checkpoint, _shapes(tmp_path), optional=(*POSITIONS, BIAS))
    assert set(state) == set(expected)
    for name, tensor in state.items():
        assert torch.equal(tensor, expected[name]), name
    notes = {
        "lightning": ["begin with 'model.'"] if architecture != "PegasusModel" else [],
        "metrics": ["begin with 'net.'", "outside the network left out: loss.w"],
        "distributed": ["begin with 'module.'"],
        "value-head": ["begin with 'pretrained_model.'", "left out: v_head.summary.weight"],
        "other-heads": ["2 tensors outside the network left out: classification_head.dense.weight"],
        "beside": ["3 tensors outside the network left out: classifier.weight, logits_scale, aux."],
    }.get(wrapper, [])
    assert len(checkpoint.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, checkpoint.notes, strict=True))


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    _rewrite(
        tmp_path,
        lambda state: {
            f"{who}.{n}": t.clone() for n, t in state.items() for who in ("student", "teacher")
        },
    )
    with pytest.raises(CheckpointError, match=r"2 networks, .* 'student\.', 'teacher\.', expected"):
        _read(tmp_path)


def test_a_decoder_is_taken_out_of_a_whole_model_as_transformers_does(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, weights="bin")  # which has each copy of the embedding
    path = tmp_path / "config.json"
    fields = json.loads(path.read_text()) | {"architectures": ["PegasusForCausalLM"]}
    path.write_text(json.dumps(fields))
    oracle = transformers.PegasusForCausalLM.from_pretrained(tmp_path).state_dict()
    checkpoint = open_checkpoint(str(tmp_path))
    shapes = {name: tuple(tensor.shape) for name, tensor in oracle.items()}
    for name, tensor in read_weights(checkpoint, shapes, optional=POSITIONS).items():
        assert torch.equal(tensor, oracle[name]), name
    assert "outside the network left out" in checkpoint.notes[0]


@pytest.mark.parametrize(
    ("content", "name"), [("safetensors", "pytorch_model.bin"), ("bin", "model.safetensors")]
)
def test_a_file_is_read_as_what_it_is_whatever_it_is_called(
    tmp_path: Path, content: WeightsFormat, name: str
) -> None:
    write_tiny_checkpoint(tmp_path, weights=content)
    expected = _read(tmp_path)
    written = "model.safetensors" if content == "safetensors" else "pytorch_model.bin"
    (tmp_path / written).rename(tmp_path / name)
    state = _read(tmp_path)
    assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize("rows", [-3, 5])
def test_a_resized_vocabulary_is_told_from_other_misfits(tmp_path: Path, rows: int) -> None:
    write_tiny_checkpoint(tmp_path)
    count = 189 + rows
    _rewrite(tmp_path, lambda state: state.update({SHARED: torch.zeros(count, 32)}))
    with pytest.raises(
        CheckpointError, match=rf"shared\.weight is \[{count}, 32\], .*set vocab_size to {count} in"
    ):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("absmax", "bitsandbytes"),
        ("quant_state.bitsandbytes__nf4", "bitsandbytes"),
        ("SCB", "bitsandbytes"),
        ("g_idx", "GPTQ"),
        ("qweight", "GPTQ or AWQ"),
        ("weight_scale_inv", "float8"),
        ("weight_packed", "compressed-tensors"),
    ],
)
def test_quantised_weights_are_refused_by_name(tmp_path: Path, part: str, method: str) -> None:
    write_tiny_checkpoint(tmp_path)
    name = f"{LAYER}.fc1.{part}"
    _rewrite(tmp_path, lambda state: state.update({name: torch.zeros(3)}))
    with pytest.raises(UnsupportedError, match=rf"quantised weights \({method}.*, see {name}\)"):
        _read(tmp_path)


@pytest.mark.parametrize("part", ["lora_A.default.weight", "base_layer.weight"])
def test_an_adapter_that_is_not_merged_is_refused_by_name(tmp_path: Path, part: str) -> None:
    write_tiny_checkpoint(tmp_path)
    name = f"{LAYER}.fc1.{part}"
    _rewrite(tmp_path, lambda state: state.update({name: torch.zeros(3)}))
    with pytest.raises(CheckpointError, match=rf"an adapter that is not merged \(see {name}\)"):
        _read(tmp_path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2279458540\n"
HUGE_HEADER = struct.pack("<Q", 10**15) + b"{}"
BAD_OFFSETS = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty: download it again"),
        (POINTER, "is a Git LFS pointer, expected weights: run `git lfs pull`"),
        (b"\x00", "is damaged"),
        (b"<html>not found</html>" * 9, "is damaged"),
        (bytes(range(256)) * 40, "is damaged"),
        (HUGE_HEADER, "is damaged"),
        (struct.pack("<Q", len(BAD_OFFSETS)) + BAD_OFFSETS, "is damaged"),
        (b"PK\x03\x04" + bytes(500), "is damaged"),
    ],
    ids=["empty", "pointer", "byte", "html", "noise", "header", "offsets", "zip"],
)
def test_garbage_is_refused(tmp_path: Path, file: str, content: bytes, expected: str) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{file} {expected}") as caught:
        _read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", ["safetensors", "bin", "bin-legacy"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, weights: WeightsFormat, kept: float) -> None:
    write_tiny_checkpoint(tmp_path, weights=weights)
    name = "model.safetensors" if weights == "safetensors" else "pytorch_model.bin"
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CheckpointError, match=rf"{name} is damaged"):
        _read(tmp_path)


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    path, target = tmp_path / "pytorch_model.bin", tmp_path / "attacked"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"a": _Attack(target)}, protocol=2))
    else:
        torch.save({"a": _Attack(target)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(
        CheckpointError, match=r"pytorch_model\.bin is damaged, or asks to run code"
    ):
        _read(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (torch.zeros(2), "holds a Tensor, expected a dict of tensors: save model"),
        ({"weights of": {"a": torch.zeros(1)}}, "1 tensor refused: weights of is dict: save model"),
        ({"state_dict": {"a": 3}, "epoch": 1}, "1 tensor refused: a is int: save model"),
        (
            {"step": torch.zeros(1), "model": {"a": torch.zeros(1)}, "x": None},
            "1 tensor refused: model is dict: save model",
        ),
        ({3: torch.zeros(1)}, "other things than named dense tensors"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "other things than named dense tensors"),
        ({"a": torch.zeros(2, device="meta")}, "other things than named dense tensors"),
    ],
)
def test_a_bin_that_holds_other_things_is_refused(
    tmp_path: Path, state: object, expected: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=expected):
        _read(tmp_path)


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(write_tiny_checkpoint(tmp_path)))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read \(No such file"):
        read_weights(checkpoint, {})


def test_transposed_and_trained_tensors_become_plain_ones(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, weights="bin")
    path, name = tmp_path / "pytorch_model.bin", f"{LAYER}.fc1.weight"
    state = torch.load(path, weights_only=True)
    expected = state[name].clone()
    state[name] = torch.nn.Parameter(state[name].T.contiguous().T)
    torch.save(state, path)
    tensor = _read(tmp_path)[name]
    assert tensor.is_contiguous()
    assert not tensor.requires_grad
    assert torch.equal(tensor, expected)


MEASURE = """
import sys
from pegasus_engines.network import FINAL_BIAS as BIAS
from pegasus_engines.network import POSITIONS, TOKEN_TABLES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.checkpoint.weights import read_weights
def resident_bytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
checkpoint = open_checkpoint(sys.argv[1])
read_weights(checkpoint, {"model.shared.weight": (1000, 50_000)})  # load the libraries
before = resident_bytes()
weights = read_weights(checkpoint, {"model.shared.weight": (1000, 50_000)})
mapped = resident_bytes() - before
weights["model.shared.weight"].sum()
print(mapped, resident_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_reading_maps_the_file_and_uses_no_memory_before_its_pages_are_used(
    tmp_path: Path, file: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    state = {"shared.weight": torch.zeros(1000, 50_000)}  # 200 MB
    if file.endswith("bin"):
        torch.save(state, tmp_path / file)
    else:
        save_file(state, tmp_path / file)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    (tmp_path / file).unlink()
    mapped, used = map(int, done.stdout.split())
    assert mapped < 5_000_000
    assert used > 190_000_000
