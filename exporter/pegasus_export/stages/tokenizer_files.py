"""The tokenizer's files of a bundle: the runtime's own, or for others all that they look for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.checkpoint.tokenizer_names import find_tokenizer_files, has_vocabulary
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.tokenizer.files import read_tokenizer_files
from pegasus_export.tokenizer.loader_files import loader_files
from pegasus_export.tokenizer.plan import PlannedTokenizer, plan_tokenizer
from pegasus_export.tokenizer.tokenizer_json import make_tokenizer_json
from pegasus_export.verify.tokenizer_json import first_difference
from pegasus_runtime.bundle import Target, Task, TokenizerSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["write_tokenizer"]

_NEEDED_FOR: tuple[Task, ...] = ("summarization", "text-classification", "question-answering")


def write_tokenizer(
    checkpoint: Checkpoint, folder: Path, task: Task, target: Target, *, for_hosts: bool = False
) -> TokenizerSpec | None:
    """Writes them, and says what the manifest says; None for a bundle without a tokenizer of ours.

    for_hosts: whether others than pegasus_runtime use the bundle, whatever its target: they get a
    tokenizer.json. Raises: CheckpointError, UnsupportedError.
    """
    if target == "onnx":
        return _write_all(checkpoint, folder, task)
    planned = plan_tokenizer(checkpoint)
    if planned is None:
        _check_not_needed(checkpoint, task)
        return None
    spec = _write_planned(checkpoint, folder, planned)
    if for_hosts:
        _make_json(checkpoint, folder, planned, spec)
    return spec


def _write_all(checkpoint: Checkpoint, folder: Path, task: Task) -> TokenizerSpec | None:
    """What other people's loaders look for, as the checkpoint has it, with a tokenizer.json."""
    for path in find_tokenizer_files(checkpoint.folder):
        shutil.copyfile(path, folder / path.name)
    _note_code(checkpoint)
    try:
        planned = plan_tokenizer(checkpoint)
    except UnsupportedError as err:
        checkpoint.notes.append(f"{err.args[0].split(':')[0]}: this target carries the files alone")
        return None
    if planned is not None:
        spec = _write_planned(checkpoint, folder, _renamed(planned, folder))
        _make_json(checkpoint, folder, planned, spec)
        return spec
    if has_vocabulary(checkpoint.folder):
        checkpoint.notes.append("the tokenizer is of another class: its files are carried alone")
    else:
        _check_not_needed(checkpoint, task)
    return None


def _make_json(
    checkpoint: Checkpoint, folder: Path, planned: PlannedTokenizer, spec: TokenizerSpec
) -> None:
    """tokenizer.json with the ids of the bundle's tokenizer, and what has loaders take it whole.

    Without one the checkpoint's files are carried as they are.
    """
    files = read_tokenizer_files(checkpoint)
    ours = Tokenizer.load(folder / spec.file, spec, parse_special_tokens=True)
    try:
        made = make_tokenizer_json(files, planned)
        added = [token.content for token in spec.added_tokens]
        text = first_difference(made.content, ours, added)
        if text is not None:
            raise UnsupportedError(
                f"it would give other ids than the bundle's tokenizer to {text!r}"
            )
    except UnsupportedError as err:
        checkpoint.notes.append(f"no tokenizer.json is made: {err.args[0]}")
        return
    (folder / "tokenizer.json").write_bytes(made.content)
    max_tokens = checkpoint.config.max_position_embeddings
    for name, content in loader_files(files, made, max_tokens=max_tokens):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    checkpoint.notes.extend(made.notes)


def _renamed(planned: PlannedTokenizer, folder: Path) -> PlannedTokenizer:
    """A file of our making has a name that no other loader looks for."""
    spec = planned.spec
    path = folder / spec.file
    if path.is_file() and path.read_bytes() == planned.content:
        return planned
    return replace(planned, spec=replace(spec, file=f"runtime-{spec.file}"))


def _write_planned(
    checkpoint: Checkpoint, folder: Path, planned: PlannedTokenizer
) -> TokenizerSpec:
    spec = planned.spec
    path = folder / spec.file
    path.write_bytes(planned.content)
    if spec.dictionary is not None:
        (folder / spec.dictionary).write_bytes(planned.dictionary)
    try:
        vocab_size = Tokenizer.load(path, spec).vocab_size
    except BundleError as err:
        raise CheckpointError(str(err).replace(str(path), str(planned.source))) from err
    if vocab_size > checkpoint.config.vocab_size:
        raise CheckpointError(
            f"{planned.source} has {vocab_size} tokens, the model {checkpoint.config.vocab_size}"
            f": take the {planned.source.name} that the checkpoint was trained with"
        )
    checkpoint.notes.extend(planned.notes)
    return spec


def _note_code(checkpoint: Checkpoint) -> None:
    path = checkpoint.folder / "tokenizer_config.json"
    if path.is_file() and "auto_map" in read_json_object(path):
        checkpoint.notes.append(
            "tokenizer_config.json has auto_map, a tokenizer of the checkpoint's own code: the "
            "bundle carries its files without the code"
        )


def _check_not_needed(checkpoint: Checkpoint, task: Task) -> None:
    if task in _NEEDED_FOR:
        raise CheckpointError(
            f"{checkpoint.folder} has no spiece.model, tokenizer.json or vocab.txt, one of which "
            f"{task} needs: copy it from the model that the checkpoint was trained from"
        )
