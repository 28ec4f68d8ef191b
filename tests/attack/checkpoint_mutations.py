"""One change of a checkpoint's folder: settings, headers, pickles, indexes, vocabularies."""

from __future__ import annotations

import pickle
import random
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from attack.file_mutations import mutate_bytes, replace_file
from attack.json_mutations import mutate_json
from attack.vocabulary_mutations import mutate_vocabulary

__all__ = ["CANARY", "CheckpointMutation", "mutate_checkpoint"]

CANARY = "canary"
"""A file in the checkpoint's parent that a pickle makes, if its code is run."""

_OFTEN = {"config.json": ("max_position_embeddings", "vocab_size", "d_model", "architectures")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMutation:
    """must_fail: whether no bundle can rightly come of it."""

    what: str
    must_fail: bool = False


def mutate_checkpoint(folder: Path, rng: random.Random) -> CheckpointMutation:
    """Changes a checkpoint in place."""
    texts = (".json", ".model")
    weights = [each for each in sorted(folder.iterdir()) if each.suffix not in texts]
    path = rng.choice(weights)
    share = rng.random()
    if share < 0.05:
        path = rng.choice(sorted(folder.iterdir()))
        return CheckpointMutation(what=f"{path.name}: {replace_file(path, rng)}")
    if share < 0.25:
        if path.suffix == ".bin":
            return _write_hostile_pickle(path, rng)
        if path.suffix == ".safetensors":
            return CheckpointMutation(what=f"{path.name}: {_mutate_header(path, rng)}")
    if share < 0.4:
        data = path.read_bytes()
        changed, words = mutate_bytes(data, rng)
        path.write_bytes(changed)
        is_cut = len(changed) < len(data) * 0.98
        return CheckpointMutation(what=f"{path.name}: {words}", must_fail=is_cut)
    path = folder / "spiece.model"
    if share < 0.5 and path.exists():
        changed, words = mutate_vocabulary(path.read_bytes(), rng)
        path.write_bytes(changed)
        return CheckpointMutation(what=f"{path.name}: {words}")
    settings = [each for each in sorted(folder.iterdir()) if each.suffix == ".json"]
    usual = [each for each in settings if each.name in ("config.json", "generation_config.json")]
    path = rng.choice(usual * 2 + settings)
    text, _, words = mutate_json(
        path.read_text("utf-8"), rng, often=_OFTEN.get(path.name, ("weight_map",))
    )
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return CheckpointMutation(what=f"{path.name}: {words}")


def _mutate_header(path: Path, rng: random.Random) -> str:
    """Of safetensors: its length, or the JSON with every tensor's type, shape and place."""
    data = path.read_bytes()
    size = int(struct.unpack("<Q", data[:8])[0])
    header, tensors = data[8 : 8 + size], data[8 + size :]
    if rng.random() < 0.2:
        length = rng.choice((0, 1, size + 1, size - 1, 2**31, 2**63, 2**64 - 1, len(data)))
        path.write_bytes(struct.pack("<Q", length) + data[8:])
        return f"header of {length} bytes"
    text, _, words = mutate_json(header.decode("utf-8"), rng)
    changed = text.encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + tensors)
    return f"header, {words}"


class _Hostile:
    """Unpickled, it calls a function."""

    def __init__(self, canary: str, how: str) -> None:
        self.canary, self.how = canary, how

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        import os

        code = f"open({self.canary!r}, 'w').close()"
        functions = {
            "system": (os.system, (f"touch '{self.canary}'",)),
            "exec": (exec, (code,)),
            "open": (open, (self.canary, "w")),
            "getattr": (getattr, (Path(self.canary), "touch")),
        }
        return functions[self.how]


def _write_hostile_pickle(path: Path, rng: random.Random) -> CheckpointMutation:
    how = rng.choice(("system", "exec", "open", "getattr"))
    hostile = _Hostile(str(path.parent.parent / CANARY), how)
    value = rng.choice((hostile, {"model.shared.weight": hostile}))
    pickled = pickle.dumps(value, protocol=rng.choice((0, 2, 4)))
    if not zipfile.is_zipfile(path):
        path.write_bytes(pickled)
        return CheckpointMutation(what=f"{path.name}: a pickle of {how}", must_fail=True)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([each for each in entries if each.endswith("data.pkl")])
    entries[name] = rng.choice((pickled, entries[name][:-1] + pickled))
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in entries.items():
            archive.writestr(each, data)
    return CheckpointMutation(what=f"{path.name}: data.pkl calls {how}", must_fail=True)
