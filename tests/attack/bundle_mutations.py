"""One change of a bundle's folder, and what may come of it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attack.file_mutations import mutate_bytes, replace_file
from attack.graph_mutations import UNLISTED, mutate_graph
from attack.json_mutations import mutate_json
from attack.vocabulary_mutations import mutate_vocabulary

__all__ = ["Mutation", "forge", "mutate_bundle"]

_FUNCTION = ("generation", "token_ids", "tokenizer", "limits", "classifier")
"""Sections of a manifest that say what the function is: nothing else could tell."""

_OFTEN = (*("tables",) * 4, "architecture", "graphs", "files", "token_ids", "limits", "plans")
"""Sections on which the runtime relies while it loads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """allowed: "same" is the result of before, or a refusal; "refused" is that alone. foreign: a
    graph that ONNX Runtime may crash on, as no hash is there to tell."""

    what: str
    allowed: Literal["any", "same", "refused"] = "any"
    foreign: bool = False
    check_hashes: bool = False


def mutate_bundle(folder: Path, rng: random.Random) -> Mutation:
    """Changes a bundle in place."""
    share = rng.random()
    if share < 0.5:
        return _mutate_manifest(folder, rng)
    if share < 0.55:
        name = rng.choice(sorted(each.name for each in folder.iterdir() if each.is_file()))
        what = replace_file(folder / name, rng)
        allowed: Any = "same" if "elsewhere" in what else "refused"
        return Mutation(what=f"{name}: {what}", allowed=allowed, check_hashes=rng.random() < 0.5)
    return _mutate_file(folder, rng)


def _mutate_manifest(folder: Path, rng: random.Random) -> Mutation:
    path = folder / "manifest.json"
    text, place, words = mutate_json(path.read_text("utf-8"), rng, often=_OFTEN)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    is_function = place[:1] in [(each,) for each in _FUNCTION]
    is_function |= any(words.endswith(f": swap with {each}") for each in _FUNCTION)
    return Mutation(
        what=f"manifest.json: {words}",
        allowed="any" if is_function else "same",
        check_hashes=rng.random() < 0.5,
    )


def _mutate_file(folder: Path, rng: random.Random) -> Mutation:
    """Damaged, with or without a look at hashes; or forged, with a manifest that fits."""
    names = sorted(
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.is_file() and each.name != "manifest.json"
    )
    name = rng.choice(names)
    path, data = folder / name, (folder / name).read_bytes()
    if name.endswith(".onnx") and rng.random() < 0.8:
        changed, words = mutate_graph(data, rng)
    elif name.endswith(".model"):
        changed, words = mutate_vocabulary(data, rng)
    else:
        changed, words = mutate_bytes(data, rng)
    path.write_bytes(changed)
    how = rng.choice(("damaged", "unchecked", "forged"))
    unlisted = UNLISTED in words
    if unlisted:
        how = "forged"
        _copy_weights(folder, names)
    if how == "forged":
        forge(folder, name, changed)
    differs = changed != data
    refused = unlisted or (differs and (how == "damaged" or len(changed) != len(data)))
    return Mutation(
        what=f"{name} {how}: {words}",
        allowed="refused" if refused and (how != "forged" or unlisted) else "any",
        foreign=name.endswith(".onnx") and how != "damaged",
        check_hashes=how == "damaged",
    )


def _copy_weights(folder: Path, names: list[str]) -> None:
    weights = max((folder / each for each in names), key=lambda path: path.stat().st_size)
    shutil.copy(weights, folder / UNLISTED)


def forge(folder: Path, name: str, data: bytes) -> None:
    """Has the manifest say of a file what it is now."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(manifest), encoding="utf-8")
