"""Pickles, headers and directories larger than weights need are refused before they are read."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from pegasus_export.checkpoint.formats.pickle_size import check_pickle_size
from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor, TensorFile
from pegasus_export.checkpoint.formats.torch_pickle import read_torch_pickle
from pegasus_export.checkpoint.formats.torch_safetensors import read_safetensors
from pegasus_export.errors import CheckpointError

LISTS = b"\x80\x02" + b"]" * 17 * 2**20 + b"."
STATE = {f"model.layer.{number}.weight": torch.full((2, 3), number) for number in range(50)}
LEGACY = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {}))


def _zip(path: Path, compression: int, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(f"model/{name}", data)
    return path


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_what_torch_saves_is_read(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.bin"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    found = read_torch_pickle(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_a_zip_that_holds_more_than_its_size_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.bin", zipfile.ZIP_DEFLATED, **{"data.pkl": LISTS})
    assert path.stat().st_size < 2**18
    with pytest.raises(CheckpointError, match=r"model/data.pkl compressed, which torch.save does"):
        read_torch_pickle(path)


def test_a_large_pickle_in_a_zip_is_refused_but_not_large_tensors(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.bin", zipfile.ZIP_STORED, **{"data.pkl": LISTS})
    with pytest.raises(
        CheckpointError, match=r"data.pkl of 17825795 bytes, expected at most 16777"
    ):
        read_torch_pickle(path)
    path = _zip(tmp_path / "b.bin", zipfile.ZIP_STORED, **{"data/0": LISTS, "data.pkl": b"."})
    with path.open("rb") as file:
        check_pickle_size(path, file, zipped=True)
        assert file.tell() == 0


def test_a_zip_of_too_many_files_is_refused(tmp_path: Path) -> None:
    path = _zip(
        tmp_path / "a.bin", zipfile.ZIP_STORED, **{f"data/{'0' * 60000}{n}": b"" for n in range(72)}
    )
    with pytest.raises(CheckpointError, match=r"lists more files than fit 4194304 bytes: save mod"):
        read_torch_pickle(path)


@pytest.mark.parametrize(
    "content",
    [
        LEGACY + LISTS,
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little"),  # a text of a terabyte
        b"I" + b"1" * 5 * 2**20 + b"\n.",  # a number of five million digits
    ],
    ids=["lists", "text", "number"],
)
def test_a_large_pickle_before_torch_16_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="begins with a pickle of more than 4194304 bytes"):
        read_torch_pickle(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(100), b"garbage", LEGACY])
def test_what_is_no_pickle_is_called_damaged_as_before(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_torch_pickle(path)


def test_a_large_header_of_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    names = json.dumps(
        {str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(10)}
    )
    header = names.encode() + b" " * 17 * 2**20
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(
        CheckpointError, match=rf"a header of {len(header)} bytes, expected at most 1677"
    ):
        read_safetensors(path)


def test_tensors_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    """A small index could ask for any number of copies of one large tensor."""
    path = tmp_path / "data"
    path.write_bytes(bytes(64))
    file = TensorFile(path)
    tensors = [
        StoredTensor(name=str(number), shape=(8, 1), dtype="float32", pieces=((0, 32),))
        for number in range(3)
    ]
    file.load(tensors[0])
    file.load(tensors[1], transposed=True)
    with pytest.raises(CheckpointError, match="its tensors lie one over the other, 2 the last"):
        file.load(tensors[2])
