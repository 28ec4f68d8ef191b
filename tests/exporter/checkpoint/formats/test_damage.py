"""Files that lost or changed bytes are refused, or read; nothing else comes of them.

TF1 checkpoints have checksums: they never give other weights. h5 and msgpack have none; a changed
number is another number there, and a changed name is refused where names are checked.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pegasus_export.checkpoint.formats.flax_msgpack import read_flax_msgpack
from pegasus_export.checkpoint.formats.keras_h5 import read_keras_h5
from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor, TensorFile
from pegasus_export.checkpoint.formats.tf1_checkpoint import read_tf1_checkpoint
from pegasus_export.errors import CheckpointError

WRITTEN = Path(__file__).parent / "written"
TRIES = 150

State = dict[str, torch.Tensor]


def _damage(data: bytes, draw: random.Random) -> bytes:
    """One bit, one word or a stretch changed, bytes put in, or the end cut off."""
    at = draw.randrange(len(data))
    changed = bytearray(data)
    match draw.randrange(5):
        case 0:
            changed[at] ^= 1 << draw.randrange(8)
        case 1:
            changed[at : at + 8] = draw.randbytes(8)
        case 2:
            changed[at : at + 64] = bytes(64)
        case 3:
            changed[at:at] = changed[at : at + draw.randrange(1, 50)]
        case _:
            del changed[at:]
    return bytes(changed)


def _is_same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("file", "read", "argument", "has_checksums"),
    [
        ("tf1-pegasus/model.ckpt-7.index", read_tf1_checkpoint, "model.ckpt-7", True),
        (
            "tf1-pegasus/model.ckpt-7.data-00000-of-00001",
            read_tf1_checkpoint,
            "model.ckpt-7",
            True,
        ),
        ("flax/flax_model.msgpack", read_flax_msgpack, "flax_model.msgpack", False),
        ("h5/tf_model.h5", read_keras_h5, "tf_model.h5", False),
    ],
    ids=["tf1-index", "tf1-data", "flax", "h5"],
)
def test_damage_is_refused_or_changes_nothing_but_what_has_no_checksum(
    tmp_path: Path, file: str, read: Callable[[Path], State], argument: str, has_checksums: bool
) -> None:
    source = WRITTEN / file
    folder = Path(shutil.copytree(source.parent, tmp_path / "copy"))
    right, data = read(folder / argument), source.read_bytes()
    draw, outcomes = random.Random(0), Counter[str]()
    for number in range(TRIES):
        # A new file each time: h5py may still hold one that it could not read.
        (folder / source.name).unlink()
        (folder / source.name).write_bytes(_damage(data, draw))
        try:
            state = read(folder / argument)
        except CheckpointError:
            outcomes["refused"] += 1
        else:
            outcomes["read as it was" if _is_same(state, right) else "read otherwise"] += 1
            assert not has_checksums or _is_same(state, right), number
    assert outcomes["refused"] > TRIES // 4, outcomes


@pytest.mark.parametrize("size", range(0, 11000, 500))
def test_a_msgpack_that_is_cut_is_refused_wherever(tmp_path: Path, size: int) -> None:
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes((WRITTEN / "flax" / path.name).read_bytes()[:size])
    with pytest.raises(CheckpointError, match="ends at byte"):
        read_flax_msgpack(path)


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(64))
    file = TensorFile(path)
    stored = StoredTensor(name="fc1", shape=(4, 4), dtype="float32", pieces=((0, 64),))
    path.write_bytes(bytes(32))
    with pytest.raises(CheckpointError, match=r"is incomplete \(it ends within fc1\)"):
        file.load(stored, transposed=True)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"cannot be read \(cannot mmap an empty file\)"):
        file.load(stored)


def test_a_tensor_before_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(64))
    stored = StoredTensor(name="fc1", shape=(4,), dtype="float32", pieces=((-16, 16),))
    with pytest.raises(CheckpointError, match=r"is incomplete \(fc1 ends at byte 0 of 64\)"):
        TensorFile(path).load(stored)
