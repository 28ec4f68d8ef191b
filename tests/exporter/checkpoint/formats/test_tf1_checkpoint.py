"""TF1 checkpoints of other types and in several files are read; what is none is refused."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from exporter.checkpoint.formats.tf1_writer import (
    Variable,
    block,
    table,
    varint,
    write_checkpoint,
)
from pegasus_export.checkpoint.formats.tf1_checkpoint import read_tf1_checkpoint
from pegasus_export.errors import CheckpointError

NORM, KERNEL = "encoder/LayerNorm/gamma", "decoder/layer_11/ffn/dense_1/kernel"
OUR_NORM, OUR_KERNEL = "model.encoder.layer_norm.weight", "model.decoder.layers.11.fc2.weight"
BFLOAT16, HALF, DOUBLE, STRING = 14, 19, 2, 7
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def _variable(values: np.ndarray = VALUES, **fields: int) -> Variable:
    return Variable(data=values.tobytes(), shape=values.shape, **fields)


@pytest.mark.parametrize(
    ("number", "name", "dtype"),
    [(HALF, "float16", torch.float16), (DOUBLE, "float64", torch.float64)],
)
def test_a_type_is_kept(tmp_path: Path, number: int, name: str, dtype: torch.dtype) -> None:
    variables = {KERNEL: _variable(VALUES.astype(name), dtype=number)}
    state = read_tf1_checkpoint(write_checkpoint(tmp_path / "model.ckpt", variables))
    assert torch.equal(state[OUR_KERNEL], torch.from_numpy(VALUES).to(dtype).T)


def test_bfloat16_is_kept(tmp_path: Path) -> None:
    high_halves = (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    variables = {KERNEL: _variable(high_halves, dtype=BFLOAT16)}
    state = read_tf1_checkpoint(write_checkpoint(tmp_path / "model.ckpt", variables))
    assert torch.equal(state[OUR_KERNEL], torch.from_numpy(VALUES).to(torch.bfloat16).T)


def test_variables_may_lie_in_several_files_and_be_of_a_machine_of_the_other_byte_order(
    tmp_path: Path,
) -> None:
    variables = {
        NORM: _variable(VALUES[0].astype(">f4"), shard=1),
        KERNEL: _variable(VALUES.astype(">f4")),
    }
    prefix = write_checkpoint(
        tmp_path / "model.ckpt-9", variables, num_shards=2, is_big_endian=True
    )
    state = read_tf1_checkpoint(prefix)
    assert torch.equal(state[OUR_NORM], torch.tensor([0.0, 1.0, 2.0]))
    assert torch.equal(state[OUR_KERNEL], torch.from_numpy(VALUES).T)


def test_a_variable_that_is_not_aligned_is_read(tmp_path: Path) -> None:
    ones = np.ones(1, np.float16)
    variables = {
        "decoder/LayerNorm/beta": _variable(ones, dtype=HALF),
        NORM: _variable(VALUES[1]),
    }
    state = read_tf1_checkpoint(write_checkpoint(tmp_path / "model.ckpt", variables))
    assert torch.equal(state[OUR_NORM], torch.tensor([3.0, 4.0, 5.0]))


def test_biases_of_bigbirds_attention_that_are_not_zero_stay(tmp_path: Path) -> None:
    name = "pegasus/encoder/layer_0/attention/self/query/bias"
    variables = {name: _variable(VALUES[0])}
    state = read_tf1_checkpoint(write_checkpoint(tmp_path / "model.ckpt", variables))
    assert list(state) == ["model.encoder.layers.0.self_attn.self.query.bias"]


@pytest.mark.parametrize(
    "slot", ["global_step", "beta1_power", f"{NORM}/Adafactor_1", f"{NORM}/Adam", f"{NORM}/Adam_1"]
)
def test_what_the_optimizer_keeps_is_left_out(tmp_path: Path, slot: str) -> None:
    variables = {NORM: _variable(VALUES[0]), slot: _variable(np.ones(1, np.int64), dtype=9)}
    state = read_tf1_checkpoint(write_checkpoint(tmp_path / "model.ckpt", variables))
    assert list(state) == [OUR_NORM]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({NORM: _variable(dtype=STRING)}, "as TensorFlow's type 7, expected one of float32"),
        ({NORM: _variable(dtype=101)}, "as TensorFlow's type 101"),
        ({NORM: _variable(shard=4)}, r"lies in file 4 of 1\): download it again"),
        (
            {NORM: Variable(data=b"", shape=(6,), is_sliced=True)},
            "in slices, expected it whole",
        ),
        (
            {NORM: Variable(data=bytes(8), shape=(6,))},
            r"of shape \[6\] has 8 bytes, expected 24\): download it again",
        ),
        ({NORM: Variable(data=b"", shape=(0, 1 << 60))}, "has 0 bytes, expected 0"),
        ({"bert/pooler/dense/kernel": _variable()}, "1 of 1 variables are others, the first is"),
        ({f"{NORM}/kernel": _variable()}, "is not of PEGASUS or BigBird"),
        ({"encoder/LayerNorm/kernel": _variable()}, "is not of PEGASUS or BigBird"),
        ({"encoder/ffn/dense/kernel": _variable()}, "is not of PEGASUS or BigBird"),
        ({"global_step": _variable()}, "it has no weights"),
        (
            {"_CHECKPOINTABLE_OBJECT_GRAPH": _variable(dtype=STRING)},
            "of TensorFlow 2's objects, expected one of the original TF1 release",
        ),
    ],
)
def test_other_checkpoints_are_refused(
    tmp_path: Path, variables: Mapping[str, Variable], message: str
) -> None:
    prefix = write_checkpoint(tmp_path / "model.ckpt", variables)
    with pytest.raises(CheckpointError, match=message):
        read_tf1_checkpoint(prefix)


def test_data_that_has_changed_is_refused(tmp_path: Path) -> None:
    prefix = write_checkpoint(tmp_path / "model.ckpt", {NORM: _variable()})
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    with pytest.raises(CheckpointError, match="LayerNorm/gamma does not have its checksum"):
        read_tf1_checkpoint(prefix)


def test_data_that_is_cut_or_missing_is_refused(tmp_path: Path) -> None:
    prefix = write_checkpoint(tmp_path / "model.ckpt", {NORM: _variable()})
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="gamma ends at byte 24 of 23"):
        read_tf1_checkpoint(prefix)
    data.unlink()
    with pytest.raises(CheckpointError, match=r"00000-of-00001 cannot be read \(No such file"):
        read_tf1_checkpoint(prefix)


def test_an_index_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.index").mkdir()
    with pytest.raises(CheckpointError, match=r"model.ckpt.index cannot be read \(Is a directory"):
        read_tf1_checkpoint(tmp_path / "model.ckpt")


def _entry(shared: int, key: bytes, value: bytes) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


RESTARTS = struct.pack("<II", 0, 1)
HEADER = _entry(0, b"", varint(1 << 3) + varint(1))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"x" * 100, "it does not end as a table of TensorFlow does"),
        (b"", "it does not end as a table"),
        (b"x" * (1 << 23) + b"y", "it is larger than 8388608 bytes"),
        (table({b"": b""}, kind=1), "a block is compressed"),
        (table({b"a": b""}), "it has no header"),
        (block(b"ab"), "the block at byte 0 has 2 bytes"),
        (block(_entry(3, b"a", b"") + RESTARTS), "an entry of impossible lengths"),
        (block(_entry(0, b"a" * 513, b"") + RESTARTS), "an entry of impossible lengths"),
        (block(HEADER + HEADER + RESTARTS), "'' is there twice"),
        (block(varint(0) + varint(9) + varint(9) + RESTARTS), "an entry of impossible lengths"),
        (block(b"\xff" * 20 + RESTARTS), "a number has no end"),
        (table({b"": b"\x08"}), "a number has no end"),
        (table({b"": b"\x0c"}), "a protobuf has a field of kind 4"),
        (table({b"": b"\x12\x09a"}), "a protobuf ends within a field"),
        (table({b"": b"\x0a\x01a"}), "field 1 of a protobuf is no number"),
        (table({b"": b"", b"a": b"\x10\x01"}), "is a number, expected a message"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: bytes, message: str) -> None:
    (tmp_path / "model.ckpt.index").write_bytes(index)
    with pytest.raises(CheckpointError, match=f"is damaged .*{message}.*: download it again"):
        read_tf1_checkpoint(tmp_path / "model.ckpt")


def test_a_block_beyond_the_file_or_with_another_checksum_is_refused(tmp_path: Path) -> None:
    index = bytearray(table({b"": b""}))
    index[-48 + 2] += 60  # where the index block starts
    path = tmp_path / "model.ckpt.index"
    path.write_bytes(index)
    with pytest.raises(CheckpointError, match="a block ends at byte"):
        read_tf1_checkpoint(tmp_path / "model.ckpt")
    index = bytearray(table({b"": b""}))
    index[0] ^= 1
    path.write_bytes(index)
    with pytest.raises(CheckpointError, match="the block at byte 0 does not have its checksum"):
        read_tf1_checkpoint(tmp_path / "model.ckpt")
