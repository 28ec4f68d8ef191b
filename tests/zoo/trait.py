"""One way in which a checkpoint can differ from those that we train."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "BIGBIRD",
    "PEGASUS",
    "PEGASUS_X",
    "Change",
    "Trait",
    "edit_json",
    "edit_weights",
    "in_config",
    "in_generation",
]

PEGASUS = "PegasusForConditionalGeneration"
PEGASUS_X = "PegasusXForConditionalGeneration"
BIGBIRD = "BigBirdPegasusForConditionalGeneration"

Change = Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """A checkpoint with this trait is a tiny random one, written, then changed.

    architecture, config, generation: of the random one. change: edits its folder. has_twin: whether
    transformers cannot read that, and reads one without the change; twin: what is changed there.
    refused: the trait's name, in the message of the refusal; None where it must be exported.
    """

    name: str
    change: Change | None = None
    architecture: str = PEGASUS
    config: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of write_tiny_checkpoint: weights, dtype, ..."""
    model: str = "checkpoint"
    """The folder that is given to the export; change may make another beside the checkpoint's."""
    twin: Change | None = None
    has_twin: bool = False
    own_tokenizer: bool = True
    """Whether transformers reads the folder's tokenizer rightly: of BigBirdPegasus it does not, and
    PEGASUS-X's spiece.model alone not at all."""
    refused: str | None = None

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def edit_json(file: str, *, drop: tuple[str, ...] = (), **values: Any) -> Change:
    """Sets and drops keys of a JSON file, which is made if it is not there."""

    def change(folder: Path) -> None:
        path = folder / file
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        content |= values
        kept = {key: value for key, value in content.items() if key not in drop}
        path.write_text(json.dumps(kept), encoding="utf-8")

    return change


def in_config(*, drop: tuple[str, ...] = (), **values: Any) -> Change:
    """In config.json."""
    return edit_json("config.json", drop=drop, **values)


def in_generation(*, drop: tuple[str, ...] = (), **values: Any) -> Change:
    """In generation_config.json."""
    return edit_json("generation_config.json", drop=drop, **values)


def edit_weights(
    edit: Callable[[dict[str, Any]], dict[str, Any]], *, file: str = "model.safetensors"
) -> Change:
    """Rewrites the one file of weights, by another name if need be."""

    def change(folder: Path) -> None:
        import safetensors.torch
        import torch

        tensors = edit(safetensors.torch.load_file(folder / "model.safetensors"))
        os.remove(folder / "model.safetensors")
        if file.endswith(".safetensors"):
            tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
            safetensors.torch.save_file(tensors, folder / file, metadata={"format": "pt"})
        else:
            torch.save(tensors, folder / file)

    return change
