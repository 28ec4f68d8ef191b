"""JSON files of a checkpoint have sizes that such files can have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_export.checkpoint.generation import read_generation
from pegasus_export.checkpoint.json_object import max_json_bytes, read_json_object
from pegasus_export.checkpoint.recognise import describe_folder
from pegasus_export.errors import CalibrationError, CheckpointError
from pegasus_export.measure.documents import read_calibration
from pegasus_export.tokenizer.files import read_vocabulary
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.bounded_file import MAX_VOCABULARY_BYTES
from pegasus_runtime.tokenization.wordpiece import read_vocab

MIB = 2**20
LARGEST = {
    "config.json": 4 * MIB,
    "generation_config.json": 4 * MIB,
    "adapter_config.json": 4 * MIB,
    "tokenizer_config.json": 16 * MIB,
    "added_tokens.json": 16 * MIB,
    "special_tokens_map.json": 16 * MIB,
    "model.safetensors.index.json": 16 * MIB,
    "model.safetensors.index.fp16.json": 16 * MIB,
    "tokenizer.json": 48 * MIB,
}


def _sparse(path: Path, size: int) -> Path:
    """A file of so many bytes, which takes none on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("name", LARGEST)
def test_what_is_larger_than_such_a_file_can_be_is_refused_unread(
    tmp_path: Path, name: str
) -> None:
    most = LARGEST[name]
    assert max_json_bytes(tmp_path / name) == most
    path = _sparse(tmp_path / name, 2**40)
    with pytest.raises(CheckpointError, match=rf"{name} cannot be read \(it has {2**40} bytes, e"):
        read_json_object(path)
    _sparse(path, most)
    with pytest.raises(CheckpointError, match="is not valid JSON"):  # it was read
        read_json_object(path)


def test_generation_settings_too(tmp_path: Path) -> None:
    _sparse(tmp_path / "generation_config.json", 5 * MIB)
    with pytest.raises(CheckpointError, match=r"it has 5242880 bytes, expected at most 4194304"):
        read_generation(tmp_path, {})


def test_a_folder_is_recognised_without_them(tmp_path: Path) -> None:
    _sparse(tmp_path / "config.json", 2**40)
    describe_folder(tmp_path)


@pytest.mark.parametrize("read", [read_vocabulary, read_vocab])
def test_a_vocabulary_too(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = _sparse(tmp_path / "spiece.model", MAX_VOCABULARY_BYTES + 1)
    with pytest.raises(
        (CheckpointError, BundleError),
        match=r"cannot be read.*it has 33554433 bytes, expected at most 335544",
    ):
        read(path)
    assert read(_sparse(path, 10))


def test_documents_to_compare_on_too(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "documents.txt", 2**40)
    with pytest.raises(CalibrationError, match=rf"it has {2**40} bytes, expected at most 26843545"):
        read_calibration(path)
