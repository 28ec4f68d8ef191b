"""h5 files hold what they say, in one piece and in themselves; whatever else is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pegasus_export.checkpoint.formats.keras_h5 import read_keras_h5
from pegasus_export.errors import CheckpointError

LAYER = "model/tf_pegasus_model/model/encoder/layers.0/fc1"
NAME = "model.encoder.layers.0.fc1"
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)

Change = Callable[[h5py.File], object]


def _write(path: Path, change: Change) -> Path:
    with h5py.File(path, "w") as file:
        change(file)
    return path


def _read(folder: Path, change: Change) -> dict[str, torch.Tensor]:
    return read_keras_h5(_write(folder / "tf_model.h5", change))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f8"])
def test_types_and_byte_orders_are_those_of_the_file(tmp_path: Path, dtype: str) -> None:
    values = VALUES.astype(dtype)
    state = _read(tmp_path, lambda file: file.create_dataset(f"{LAYER}/kernel:0", data=values))
    tensor = state[f"{NAME}.weight"]
    assert torch.equal(tensor, torch.from_numpy(VALUES.astype(dtype[1:])).T)
    assert tensor.is_contiguous()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        # Of transformers before 4.22: another class of embedding, and a bias of the model's own.
        ("model/model.shared/model.shared/weight:0", "model.shared.weight"),
        ("top_level_model_weights/tf_pegasus/final_logits_bias:0", "final_logits_bias"),
        ("model/m/model/decoder/embed_positions/weight:0", "model.decoder.embed_positions.weight"),
        ("model/m/model/decoder/layer_norm/gamma", "model.decoder.layer_norm.weight"),
        # Unknown ones keep their place, by which they are then refused as not expected.
        ("bert/pooler/dense/kernel:0", "bert/pooler/dense/kernel:0"),
        ("model/m/model/decoder/relative:0", "model/m/model/decoder/relative:0"),
    ],
)
def test_names_are_torchs(tmp_path: Path, place: str, name: str) -> None:
    state = _read(tmp_path, lambda file: file.create_dataset(place, data=VALUES))
    assert list(state) == [name]
    assert torch.equal(state[name], torch.from_numpy(VALUES))


def test_the_optimizers_weights_are_left_out(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file.create_dataset(f"optimizer_weights/{LAYER}/kernel/m:0", data=VALUES)
        file.create_dataset(f"{LAYER}/kernel:0", data=VALUES)

    assert list(_read(tmp_path, change)) == [f"{NAME}.weight"]


def _with_loop(file: h5py.File) -> None:
    file["loop"] = file["/"]


def _with_bomb(file: h5py.File) -> None:
    """Groups that each hold the next one twice."""
    for level in range(20):
        group = file.create_group(f"g{level}")
        if level:
            group["a"] = group["b"] = file[f"g{level - 1}"]


def _with_two(file: h5py.File) -> None:
    for model in ("one", "other"):
        file.create_dataset(f"model/{model}/model/encoder/layer_norm/beta:0", data=VALUES[0])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2, 3), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", shape=(2, 3))
    file.create_virtual_dataset(LAYER, layout)


def _brain_float(file: h5py.File) -> None:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    h5py.h5d.create(file.id, b"bfloat16", kind, h5py.h5s.create_simple((3,))).write(
        h5py.h5s.ALL, h5py.h5s.ALL, VALUES[0]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file.__setitem__(LAYER, h5py.ExternalLink("/etc/passwd", "data")),
            "has a ExternalLink to elsewhere at model/tf_pegasus_model",
        ),
        (lambda file: file.__setitem__(LAYER, h5py.SoftLink("/")), "has a SoftLink to elsewhere"),
        (_virtual, "fc1 in another file, expected it in this one: do not use this checkpoint"),
        (
            lambda file: file.create_dataset(LAYER, (6,), "f4", external=[("/etc/passwd", 0, 24)]),
            "fc1 in another file, expected it in this one",
        ),
        (_with_loop, "or its groups lie in a circle: do not use this checkpoint"),
        (_with_bomb, "has more than 20000 entries"),
        (
            lambda file: file.create_dataset(LAYER, data=VALUES, compression="gzip"),
            "fc1 compressed, in chunks or not at all, expected it in one piece",
        ),
        (
            lambda file: file.create_dataset(LAYER, data=VALUES, chunks=(1, 3)),
            "compressed, in chunks or not at all",
        ),
        (
            lambda file: file.create_dataset(LAYER, (1 << 40,), "f4"),
            "compressed, in chunks or not at all",
        ),
        (lambda file: file.create_dataset(LAYER, data=h5py.Empty("f4")), "or not at all"),
        (
            lambda file: file.create_dataset(LAYER, data="text"),
            "fc1 as object, expected float32, float16 or float64",
        ),
        (lambda file: file.create_dataset(LAYER, data=np.int32(3)), "fc1 as int32, expected"),
        (lambda file: file.create_dataset(LAYER, (3,), h5py.ref_dtype), "or not at all|as object"),
        (
            lambda file: file.create_dataset(LAYER, data=np.zeros(2, [("a", "f4")])),
            "fc1 as .*, expected float32",
        ),
        (_brain_float, "bfloat16 as float32, expected float32, float16 or float64"),
        (
            lambda file: file.__setitem__(LAYER, np.dtype("f4")),
            "has a Datatype at .*fc1, expected tensors",
        ),
        (_with_two, "holds model.encoder.layer_norm.bias a second time: save the model again"),
    ],
)
def test_what_is_no_plain_tensor_is_refused(tmp_path: Path, change: Change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        _read(tmp_path, change)


def test_a_file_behind_other_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tf_model.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(LAYER, data=VALUES)
    with pytest.raises(CheckpointError, match="begins with a user block: save the model again"):
        read_keras_h5(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tf_model.h5"
    path.write_bytes(b"<html>" * 100)
    with pytest.raises(CheckpointError, match=r"damaged or incomplete \(OSError\): download it"):
        read_keras_h5(path)


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r"not installed: pip install 'pegasus-edge\[formats"):
        read_keras_h5(tmp_path / "tf_model.h5")
