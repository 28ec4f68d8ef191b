"""The files of a checkpoint with random weights: one of tensors, and one of vocabulary.

The weights are seeded and written one by one, so that writing takes seconds and little memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentencepiece import sentencepiece_model_pb2

FLOAT32_BYTES = 4
DEMOS = Path(__file__).resolve().parents[2] / "examples" / "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSpec:
    """One tensor of the file: values are drawn from normal(mean, std)."""

    name: str
    shape: tuple[int, ...]
    mean: float = 0.0
    std: float = 0.0

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def write_tensors(path: Path, weights: Iterable[WeightSpec], *, seed: int) -> None:
    """Write the tensors as one safetensors file, holding one tensor in memory at a time.

    The format: the header's length (u64, little endian), the header (JSON), then the tensors.
    """
    specs = sorted(weights, key=lambda spec: spec.name)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for spec in specs:
        end = offset + spec.size * FLOAT32_BYTES
        header[spec.name] = {
            "dtype": "F32",
            "shape": spec.shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for index, spec in enumerate(specs):
            file.write(_draw(spec, seed=(seed, index)).data)


def write_vocabulary(path: Path, demo: str, n_pieces: int) -> None:
    """Writes the SentencePiece model of a demo checkpoint, cut or padded with unused pieces."""
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString((DEMOS / demo / "spiece.model").read_bytes())
    del model.pieces[n_pieces:]
    lowest = min(piece.score for piece in model.pieces)
    for index in range(n_pieces - len(model.pieces)):
        model.pieces.add(piece=f"\u2581zqx{index}", score=lowest - 1 - index * 1e-4, type=1)
    model.trainer_spec.vocab_size = n_pieces
    path.write_bytes(model.SerializeToString())


def _draw(spec: WeightSpec, *, seed: tuple[int, int]) -> npt.NDArray[np.float32]:
    if spec.std == 0.0:
        return np.full(spec.shape, spec.mean, dtype=np.float32)
    values = np.random.default_rng(seed).standard_normal(spec.shape, dtype=np.float32)
    values *= np.float32(spec.std)
    values += np.float32(spec.mean)
    if spec.name == "model.shared.weight":
        values[0] = 0.0  # <pad>
    return values
