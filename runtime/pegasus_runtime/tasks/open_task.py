"""A bundle opened for one task: checked that it is for it, and its tokenizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pegasus_runtime.bundle import PLAN_TARGETS, Bundle, Task, TokenizerSpec, open_bundle, read_held
from pegasus_runtime.errors import BundleError, OptionsError
from pegasus_runtime.hub.find_bundle import find_bundle
from pegasus_runtime.tokenization.tokenizer import Newlines, Tokenizer

__all__ = ["OpenTask", "open_task"]

T = TypeVar("T")
_TARGETS = ("ort", *PLAN_TARGETS)
_MADE_BY: Mapping[Task, str] = {
    "summarization": "Summarizer",
    "text-classification": "TextClassifier",
    "question-answering": "QuestionAnswerer",
    "feature-extraction": "FeatureExtractor",
    "text-generation": "TextGenerator",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenTask(Generic[T]):
    """What every task starts from."""

    bundle: Bundle
    tokenizer: Tokenizer
    model: T
    """Whatever runs its graphs."""


def open_task(
    source: Path | str,
    task: Task,
    load: Callable[[Bundle], T],
    *,
    precision: str | None = None,
    revision: str | None = None,
    check_hashes: bool = False,
    manifest_sha256: str | None = None,
    newlines: Newlines = "hf",
    parse_special_tokens: bool = False,
    max_unknown: float | None = None,
) -> OpenTask[T]:
    """Opens a bundle that is for this task, of a target that this runtime can run for it.

    source: its folder, or the name that it has on a hub, or a checkpoint has.
    All of it is of one bundle, even while an export replaces that; so `load` may be called again.
    Raises: BundleError, OptionsError for unknown newlines, a max_unknown that is no share, or for a
    precision or revision that the bundle has not, and what `load` raises.
    """
    folder = find_bundle(source, task, precision=precision, revision=revision)

    def read(place: Path) -> OpenTask[T]:
        bundle = open_bundle(
            folder, check_hashes=check_hashes, manifest_sha256=manifest_sha256, place=place
        )
        spec = _check_bundle(bundle, task)
        _check_precision(bundle, precision)
        tokenizer = Tokenizer.load(
            bundle.path(spec.file),
            spec,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            max_unknown=max_unknown,
        )
        model = load(bundle)
        return OpenTask(
            bundle=dataclasses.replace(bundle, place=None), tokenizer=tokenizer, model=model
        )

    return read_held(folder, read)


def _check_bundle(bundle: Bundle, task: Task) -> TokenizerSpec:
    manifest = bundle.manifest
    if manifest.task != task:
        raise _of_no_use(bundle, task, f"open it with {_MADE_BY[manifest.task]}")
    targets = _TARGETS if task == "summarization" else _TARGETS[:1]
    if manifest.target not in targets:
        raise BundleError(
            f"{bundle.folder}: a bundle for target {manifest.target!r}, {task} runs "
            f"{', '.join(targets)}: export with --target ort"
        )
    if manifest.tokenizer is None:
        advice = f"export a checkpoint with --task {task}, and its spiece.model beside it"
        raise _of_no_use(bundle, task, advice)
    return manifest.tokenizer


def _check_precision(bundle: Bundle, asked: str | None) -> None:
    got = bundle.manifest.precision
    if asked not in (None, got):
        raise OptionsError(
            f"{bundle.folder}: a bundle in {got}, precision is {asked!r}: leave it out, or export "
            f"with --precision {asked}"
        )


def _of_no_use(bundle: Bundle, task: Task, advice: str) -> BundleError:
    manifest = bundle.manifest
    return BundleError(
        f"{bundle.folder}: a bundle for task {manifest.task!r}"
        f"{'' if manifest.tokenizer else ' without a tokenizer'}, this needs {task!r} and a "
        f"tokenizer: {advice}"
    )
