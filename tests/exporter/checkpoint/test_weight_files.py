"""Which files of a folder are its weights."""

import json
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
