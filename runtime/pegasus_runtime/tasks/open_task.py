"""A bundle opened for one task: checked that it is for it, and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pegasus_runtime.bundle import PLAN_TARGETS, Bundle, Task, open_bundle
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.tokenizer import Newlines, Tokenizer

__all__ = ["OpenTask", "open_task"]

_TARGETS = ("ort", *PLAN_TARGETS)
_MADE_BY = {
    "summarization": "Summarizer",
    "text-classification": "TextClassifier",
    "question-answering": "QuestionAnswerer",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenTask:
    """What every task starts from."""

    bundle: Bundle
    tokenizer: Tokenizer


def open_task(
    folder: Path | str,
    task: Task,
    *,
    check_hashes: bool = False,
    newlines: Newlines = "hf",
    parse_special_tokens: bool = False,
) -> OpenTask:
    """Opens a bundle that is for this task, of a target that this runtime can run for it.

    Raises: BundleError, OptionsError for unknown newlines.
    """
    bundle = open_bundle(folder, check_hashes=check_hashes)
    manifest = bundle.manifest
    targets = _TARGETS if task == "summarization" else _TARGETS[:1]
    if manifest.target not in targets:
        raise BundleError(
            f"{bundle.folder}: a bundle for target {manifest.target!r}, {task} runs "
            f"{', '.join(targets)}: export with --target ort"
        )
    spec = manifest.tokenizer
    if manifest.task != task or spec is None:
        raise BundleError(
            f"{bundle.folder}: a bundle for task {manifest.task!r}"
            f"{'' if spec else ' without a tokenizer'}, this needs {task!r} and a tokenizer: "
            f"{_advice(manifest.task, task)}"
        )
    tokenizer = Tokenizer.load(
        bundle.path(spec.file),
        spec,
        newlines=newlines,
        parse_special_tokens=parse_special_tokens,
    )
    return OpenTask(bundle=bundle, tokenizer=tokenizer)


def _advice(got: str, needed: str) -> str:
    if got != needed and got in _MADE_BY:
        return f"open it with {_MADE_BY[got]}"
    return f"export a checkpoint with --task {needed}, and its spiece.model beside it"
