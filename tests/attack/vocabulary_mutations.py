"""One change of a spiece.model: pieces, their scores and types, normaliser, special ids."""

from __future__ import annotations

import importlib
import random
from typing import Any

from attack.file_mutations import mutate_bytes

__all__ = ["mutate_vocabulary"]

_PROTO = "sentencepiece.sentencepiece_model_pb2"
_TEXTS = ("", " ", "\u2581", "x" * 5000, "\x00", "<n>", "</s>", "<mask_1>", "\u2581the")


def mutate_vocabulary(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Another model, and in words how it differs."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    model: Any = importlib.import_module(_PROTO).ModelProto.FromString(data)
    words = _mutate(model, rng)
    return model.SerializeToString(), words


def _mutate(model: Any, rng: random.Random) -> str:
    index = rng.randrange(len(model.pieces))
    piece = model.pieces[index]
    how = rng.choice(("text", "score", "type", "drop", "add", "trainer", "charsmap", "normalizer"))
    if how == "text":
        piece.piece = rng.choice([*_TEXTS, rng.choice(model.pieces).piece])
    elif how == "score":
        piece.score = rng.choice((float("nan"), float("inf"), -float("inf"), 1e38, 0.0))
    elif how == "type":
        piece.type = rng.choice((1, 2, 3, 4, 5, 6))
    elif how == "drop":
        del model.pieces[index : index + rng.choice((1, 50, 1000))]
    elif how == "add":
        for _ in range(rng.choice((1, 500))):
            model.pieces.add(piece=rng.choice([*_TEXTS, str(rng.random())]), score=-1.0)
    elif how == "trainer":
        name = rng.choice(("unk_id", "eos_id", "pad_id", "bos_id", "vocab_size", "model_type"))
        numbers = (1, 2, 3, 4) if name == "model_type" else (-1, 0, 3, 105, 2**31 - 1, -(2**31))
        setattr(model.trainer_spec, name, rng.choice(numbers))
        return f"{name} {getattr(model.trainer_spec, name)}"
    elif how == "charsmap":
        spec = model.normalizer_spec
        spec.precompiled_charsmap, words = mutate_bytes(spec.precompiled_charsmap, rng)
        return f"charsmap: {words}"
    else:
        name = rng.choice(("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces"))
        setattr(model.normalizer_spec, name, not getattr(model.normalizer_spec, name))
        return name
    return f"piece {index}: {how}"
