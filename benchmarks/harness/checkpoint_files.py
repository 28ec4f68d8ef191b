"""The files of a checkpoint with random weights: one of tensors, and one of vocabulary.

The weights are seeded and written one by one, so that writing takes seconds and little memory.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

FLOAT32_BYTES = 4
CORPUS = (
    "The council voted on Tuesday to repair the old bridge over the river before winter.",
    "A spokesman said that nobody was hurt when the train left the rails near the station.",
    "Scientists have found a new kind of frog in the forest, only two centimetres long.",
    "The company expects profits of 4.2 million pounds this year, down from 5.1 million.",
    "Police are looking for three men who broke into a museum and took a painting.",
    "Heavy rain closed 16 roads and left 2,300 homes without power on Monday night.",
)


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


def write_vocabulary(path: Path, n_pieces: int, *, specials: Sequence[str] = ()) -> None:
    """Write a SentencePiece model: a small trained one, padded with unused pieces to ``n_pieces``.

    The form is the published vocabulary's: <pad> 0, </s> 1, <unk> 2, <n> 3, NFKC, unigram;
    ``specials`` come before <unk>, as in BigBirdPegasus'.
    """
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=trained,
        model_type="unigram",
        vocab_size=min(n_pieces, 200 + len(specials)),
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        eos_id=1,
        unk_id=2 + len(specials),
        bos_id=-1,
        user_defined_symbols=[*specials, "<n>"],
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(trained.getvalue())
    lowest = min(piece.score for piece in model.pieces)
    for index in range(n_pieces - len(model.pieces)):
        model.pieces.add(piece=f"\u2581zqx{index}", score=lowest - 1 - index * 1e-4, type=1)
    model.trainer_spec.vocab_size = len(model.pieces)
    if len(model.pieces) != n_pieces:
        raise ValueError(
            f"vocabulary of {n_pieces} pieces is too small, the text needs {len(model.pieces)}"
        )
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
