"""Msgpack files of Flax are read without msgpack; whatever else than tensors is refused."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from pegasus_export.checkpoint.formats.flax_msgpack import read_flax_msgpack
from pegasus_export.errors import CheckpointError

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def _array(values: np.ndarray, code: int = 1, **other: Any) -> msgpack.ExtType:
    """As flax.serialization packs an array."""
    parts = {"shape": values.shape, "dtype": values.dtype.name, "data": values.tobytes()} | other
    return msgpack.ExtType(code, msgpack.packb(tuple(parts.values()), use_bin_type=True))


def _chunked(values: np.ndarray, count: int, **other: Any) -> dict[str, Any]:
    """As flax.serialization packs an array of more than 2^30 bytes."""
    chunks = np.array_split(values.reshape(-1), count)
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(number): size for number, size in enumerate(values.shape)},
        "chunks": {str(number): _array(chunk) for number, chunk in enumerate(chunks)},
    } | other


def _read(folder: Path, tree: object) -> dict[str, torch.Tensor]:
    return _read_bytes(folder, msgpack.packb(tree, strict_types=True))


def _read_bytes(folder: Path, data: bytes) -> dict[str, torch.Tensor]:
    path = folder / "flax_model.msgpack"
    path.write_bytes(data)
    return read_flax_msgpack(path)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("size", [1, 16, 40, 300, 20_000])
def test_lengths_and_types_of_every_kind_are_read(tmp_path: Path, dtype: str, size: int) -> None:
    values = np.arange(size, dtype=dtype)
    state = _read(tmp_path, {"decoder": {"x" * (size % 300 + 1): _array(values)}})
    assert torch.equal(next(iter(state.values())), torch.from_numpy(values))


def test_a_map_of_many_entries_is_read(tmp_path: Path) -> None:
    state = _read(tmp_path, {f"n{number}": _array(VALUES) for number in range(3000)})
    assert len(state) == 3000


def test_a_length_may_have_more_bytes_than_it_needs(tmp_path: Path) -> None:
    entry = b"\xdb\0\0\0\x01a" + msgpack.packb(_array(VALUES))
    state = _read_bytes(tmp_path, b"\xdf\0\0\0\x01" + entry)
    assert torch.equal(state["a"], torch.from_numpy(VALUES))


def test_kernels_are_turned_and_a_wrapper_is_taken_off(tmp_path: Path) -> None:
    tree = {"params": {"fc1": {"kernel": _array(VALUES)}, "shared": {"embedding": _array(VALUES)}}}
    state = _read(tmp_path, tree)
    assert torch.equal(state["fc1.weight"], torch.from_numpy(VALUES).T)
    assert torch.equal(state["shared.weight"], torch.from_numpy(VALUES))


@pytest.mark.parametrize("count", [1, 4])
def test_a_tensor_in_pieces_is_joined(tmp_path: Path, count: int) -> None:
    state = _read(tmp_path, {"shared": {"embedding": _chunked(VALUES, count)}})
    assert torch.equal(state["shared.weight"], torch.from_numpy(VALUES))
    state = _read(tmp_path, {"fc1": {"kernel": _chunked(VALUES, count)}})
    assert torch.equal(state["fc1.weight"], torch.from_numpy(VALUES).T)


def _deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": None}, "a is of kind 0xc0, expected a map or a tensor"),
        ({"a": [1]}, "a is of kind 0x91, expected a map or a tensor"),
        ({"a": "text"}, "a is of kind 0xa4"),
        ({"a": b"bytes"}, "a is of kind 0xc4"),
        ({"a": 1.5}, "a is of kind 0xcb"),
        ({"step": 7}, "step is 7, expected a tensor"),
        ({"step": 70000}, "step is 70000, expected a tensor"),
        ({"flag": True}, "flag is True, expected a tensor"),
        (7, "it is no map of tensors"),
        ({1: _array(VALUES)}, "a length is of kind 0x01"),
        ({"a" * 513: 1}, "a name has 513 bytes"),
        ({"a": msgpack.ExtType(2, b"12")}, "a is msgpack's extension 2, expected a tensor, 1"),
        ({"a": _array(np.array(1.0), code=3)}, "a is msgpack's extension 3"),
        ({"a": msgpack.ExtType(1, b"\x92\x90\x90")}, "a has no shape, type and bytes"),
        ({"a": _array(VALUES, shape=(1,) * 9)}, "a has 9 dimensions"),
        ({"a": _array(VALUES, shape=(-1, 6))}, "a dimension is of kind 0xff"),
        ({"a": _array(VALUES, shape=(7,))}, r"a of shape \[7\] has 24 bytes, expected 28"),
        ({"a": _array(np.zeros((0, 2), np.float32))}, r"shape \[0, 2\] has 0 bytes"),
        ({"a": _array(VALUES, data=VALUES.tobytes() + b"x", x=1)}, "a has no shape, type and"),
        (_deep(40), "or too deep ones"),
        ({str(number): 1 for number in range(20_001)}, "it holds more than 20000 entries"),
        ({"a": _chunked(VALUES, 2, shape={"1": 6})}, "a is in pieces without their shape"),
        ({"a": _chunked(VALUES, 2, chunks=3)}, "a is in pieces without their chunks"),
        ({"a": _chunked(VALUES, 2, shape={"0": {}})}, "a is in pieces that do not make a tensor"),
        ({"a": _chunked(VALUES, 2, chunks={})}, "a is in pieces that do not make a tensor"),
        (
            {"a": _chunked(VALUES, 2, chunks={"0": _array(VALUES), "1": _array(VALUES > 1)})},
            "a is in pieces of several types",
        ),
    ],
)
def test_other_trees_are_refused(tmp_path: Path, tree: object, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"{message}.*: download it again"):
        _read(tmp_path, tree)


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "object", "float8_e4m3fn"])
def test_other_types_are_refused(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(CheckpointError, match=f"holds a as {dtype}, expected one of float64"):
        _read(tmp_path, {"a": _array(VALUES, dtype=dtype)})


def test_names_that_fall_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds fc\.weight a second time"):
        _read(tmp_path, {"fc": {"kernel": _array(VALUES), "weight": _array(VALUES)}})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it ends at byte 0, within a value"),
        (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01", "a ends at byte 4294967304 of 9"),
        (b"\xdf\xff\xff\xff\xff", "it ends at byte 5, within a value"),
        (b"\x80x", "1 bytes follow its end"),
        (b"\x82\xa1a\x01\xa1a\x01", "a is there twice"),
        (b"\x81\xa1\xff\x01", "can't decode byte"),
        (b"\x81\xa1a\xc7\x0f\x01\x93\x91\x01\xa7float32\xc4\x04\0\0", "a has 4 bytes in 2"),
        (b"\x81\xa1a\xc7\x0f\x01\x93\x91\x01\xa7float32\xc4\x03\0\0\0\0", "a has 3 bytes in 2"),
    ],
)
def test_damage_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"is damaged, or no msgpack of Flax .*{message}"):
        _read_bytes(tmp_path, data)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be read \(No such file or directory\)"):
        read_flax_msgpack(tmp_path / "flax_model.msgpack")
    with pytest.raises(CheckpointError, match=r"cannot be read \(Is a directory\)"):
        read_flax_msgpack(tmp_path)
