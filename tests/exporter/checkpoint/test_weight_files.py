"""Which files of a folder are its weights."""

import json
import os
from pathlib import Path

import pytest

from pegasus_export.checkpoint.weight_files import find_weight_files
from pegasus_export.errors import CheckpointError


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def test_formats_have_an_order_and_one_file_goes_before_shards(tmp_path: Path) -> None:
    shard = json.dumps({"weight_map": {"a": "shard", "b": "shard"}})
    _touch(tmp_path, "shard", *(f"model.ckpt-{n}.data-00000-of-00001" for n in (7, 30000)))
    for name, weights_format in (
        ("model.ckpt-7.index", "tf1"),
        ("model.ckpt-30000.index", "tf1"),
        ("tf_model.h5.index.json", "h5"),
        ("tf_model.h5", "h5"),
        ("flax_model.msgpack.index.json", "flax"),
        ("flax_model.msgpack", "flax"),
        ("pytorch_model.bin.index.json", "bin"),
        ("pytorch_model.bin", "bin"),
        ("model.safetensors.index.json", "safetensors"),
        ("model.safetensors", "safetensors"),
    ):
        path = tmp_path / name
        path.write_text(shard)
        files = find_weight_files(tmp_path)
        assert files.format == weights_format
        if name.endswith("index.json"):
            promised = ("a", "b") if weights_format in ("safetensors", "bin") else ()
            assert (files.index, files.shards) == (path, {tmp_path / "shard": promised})
        else:
            assert (files.index, files.shards) == (None, {path: ()})
        data = {tmp_path / f"{path.stem}.data-00000-of-00001"} if weights_format == "tf1" else set()
        assert set(files.files) == {path, *files.shards, *data}


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "config.json")
    with pytest.raises(CheckpointError, match=r"has no weights, expected one of model\.safetensor"):
        find_weight_files(tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_weight_map_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match="has no weight_map: download it again"):
        find_weight_files(tmp_path)


@pytest.mark.parametrize(
    "file", ["../secret", "/etc/passwd", "a/b", "a\\b", "C:evil", "..", ".", "", 3, None]
)
def test_an_index_that_leaves_the_folder_is_refused(tmp_path: Path, file: object) -> None:
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": file}}))
    with pytest.raises(CheckpointError, match=r"sends lm_head\.weight to .*expected a file beside"):
        find_weight_files(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one", "b": "two"}}))
    with pytest.raises(CheckpointError, match="names 2 files that are missing, the first is one"):
        find_weight_files(tmp_path)


def test_the_index_of_a_tf1_checkpoint_needs_its_data(tmp_path: Path) -> None:
    _touch(tmp_path, "model.ckpt-7.index")
    with pytest.raises(CheckpointError, match=r"has no model\.ckpt-7\.data-00000-of-00001 beside"):
        find_weight_files(tmp_path)


@pytest.mark.parametrize(
    ("names", "read", "note"),
    [
        (("model.fp16.safetensors", "pytorch_model.fp16.bin"), "model.fp16.safetensors", "'fp16'"),
        (("pytorch_model.bf16.bin",), "pytorch_model.bf16.bin", "are the variant 'bf16'"),
        (("model.fp16.safetensors", "pytorch_model.bin"), "pytorch_model.bin", ""),
        (("model.fp16.safetensors", "tf_model.h5"), "model.fp16.safetensors", "'fp16'"),
        (("best.pt", "optimizer.pt", "rng_state.pth", "training_args.bin"), "best.pt", "read from"),
        (("epoch=3-step=900.ckpt",), "epoch=3-step=900.ckpt", "the one file that can be they"),
        (("pegasus.safetensors",), "pegasus.safetensors", "are read from pegasus.safetensors"),
    ],
)
def test_variants_and_other_names_are_taken_where_there_is_one(
    tmp_path: Path, names: tuple[str, ...], read: str, note: str
) -> None:
    _touch(tmp_path, "config.json", *names)
    files = find_weight_files(tmp_path)
    assert [path.name for path in files.files] == [read]
    assert note in files.note
    assert bool(note) == bool(files.note)


@pytest.mark.parametrize(
    ("stem", "index"),
    [
        ("model.fp16-{}.safetensors", "model.safetensors.index.fp16.json"),
        ("model-{}.fp16.safetensors", "model.safetensors.index.fp16.json"),
        ("pytorch_model.fp16-{}.bin", "pytorch_model.bin.index.fp16.json"),
    ],
)
def test_a_variant_may_have_shards(tmp_path: Path, stem: str, index: str) -> None:
    shards = [stem.format(f"{number:05d}-of-00002") for number in (1, 2)]
    _touch(tmp_path, *shards)
    (tmp_path / index).write_text(json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}))
    files = find_weight_files(tmp_path)
    assert {path.name for path in files.files} == {index, *shards}
    assert files.note == f"the weights are the variant 'fp16' ({index})"


@pytest.mark.parametrize("stem", ["model-{}.safetensors", "pytorch_model-{}.bin"])
def test_all_shards_are_read_where_their_index_is_missing(tmp_path: Path, stem: str) -> None:
    shards = [stem.format(f"{number:05d}-of-00003") for number in (1, 2, 3)]
    _touch(tmp_path, *shards)
    files = find_weight_files(tmp_path)
    assert [path.name for path in files.shards] == shards
    assert files.note == "the index of the weights is missing: all 3 shards are read"
    (tmp_path / shards[1]).unlink()
    with pytest.raises(CheckpointError, match=r"has 2 of 3 shards .* and no index of them"):
        find_weight_files(tmp_path)


def test_what_cannot_be_chosen_is_listed(tmp_path: Path) -> None:
    _touch(tmp_path, "config.json", "best.pt", "last.pt")
    with pytest.raises(CheckpointError, match=r"several files that may be its weights \(best\.pt"):
        find_weight_files(tmp_path)
    _touch(tmp_path, "model.fp16.safetensors", "model.ema.safetensors")
    with pytest.raises(
        CheckpointError, match=r"several variants \(model\.ema\.safetensors, model\.fp16\.safet"
    ):
        find_weight_files(tmp_path)


@pytest.mark.parametrize("name", ["model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"])
def test_a_pipe_in_the_place_of_weights_is_not_opened(tmp_path: Path, name: str) -> None:
    for each in ("model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"):
        (tmp_path / each).write_bytes(b"x")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)  # whoever opens it waits for ever
    with pytest.raises(CheckpointError, match=rf"{name} is no file: put the weights themselves"):
        find_weight_files(tmp_path)
