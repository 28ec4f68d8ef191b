"""Which bundle is served under which name: loaded in the background, and found by its task."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pegasus_runtime.bundle import Manifest, open_bundle
from pegasus_runtime.errors import BundleError, OptionsError
from pegasus_runtime.hub.address import HUB_NAME, looks_like_path, read_address
from pegasus_runtime.hub.find_bundle import find_bundle
from pegasus_runtime.spelling import did_you_mean
from pegasus_runtime.tasks.question_answerer import QuestionAnswerer
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.text_classifier import TextClassifier
from pegasus_runtime.tokenization.tokenizer import Newlines
from pegasus_serve.served.served_heads import ServedAnswerer, ServedClassifier
from pegasus_serve.served.served_summarizer import ServedSummarizer
from pegasus_serve.settings import Settings
from pegasus_serve.wire.errors import HttpError

__all__ = [
    "LoadOptions",
    "Model",
    "Served",
    "check_source",
    "find_served",
    "load_served",
    "split_name",
]

Served = ServedSummarizer | ServedClassifier | ServedAnswerer
T = TypeVar("T", ServedSummarizer, ServedClassifier, ServedAnswerer)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TASKS: Mapping[type[Served], str] = {
    ServedSummarizer: "summarization",
    ServedClassifier: "text-classification",
    ServedAnswerer: "question-answering",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How bundles are loaded; see `Summarizer.load`."""

    precision: str | None = None
    revision: str | None = None
    provider: str = "auto"
    threads: int | None = None
    kernel_cache: Path | None = None
    check_hashes: bool = False
    newlines: Newlines = "hf"
    max_unknown: float | None = None


class Model:
    """What is served under a name: not there yet, there, or failed."""

    def __init__(
        self, name: str, open_served: Callable[[], Served], *, manifest: Manifest | None = None
    ) -> None:
        """open_served: loads it; called once, by `load`. manifest: where it is known before.

        Raises: OptionsError.
        """
        if not _NAME.fullmatch(name):
            raise OptionsError(
                f"model name is {name!r}, expected letters, digits, dots, dashes or underscores: "
                "put one before the bundle, as in news=FOLDER"
            )
        self.name = name
        self.load_s = 0.0
        self._open, self._manifest = open_served, manifest
        self._served: Served | None = None

    def load(self) -> None:
        """Loads it, unless it is loaded. Raises: what loading raises."""
        if self._served is None:
            start = time.perf_counter()
            self._served = self._open()
            self.load_s = time.perf_counter() - start

    @property
    def served(self) -> Served | None:
        """None until it is loaded."""
        return self._served

    @property
    def manifest(self) -> Manifest | None:
        """None where it is not known before it is loaded."""
        return self._manifest if self._served is None else self._served.manifest

    def close(self, *, finish: bool = True) -> None:
        """Ends it; finish: after what waits and runs."""
        if self._served is not None:
            self._served.close(finish=finish)


def find_served(models: Mapping[str, Model], name: str | None, kind: type[T]) -> tuple[str, T]:
    """The model of a request: that of its name, or the only one for the task. Raises: HttpError."""
    if name is not None and name not in models:
        known = ", ".join(models)
        raise HttpError(
            404,
            "model",
            f"unknown model {name[:100]!r}{did_you_mean(name, models) or f': expected {known}'}",
        )
    chosen = list(models.values()) if name is None else [models[name]]
    waiting = [each for each in chosen if each.served is None]
    fitting = [(each.name, each.served) for each in chosen if isinstance(each.served, kind)]
    if name is None and len(fitting) > 1:
        names = ", ".join(each for each, _ in fitting)
        raise HttpError(422, "model", f"model is missing, several are served: expected {names}")
    if fitting and (name is not None or not waiting):
        return fitting[0]
    if waiting:
        raise HttpError(503, "loading", f"{waiting[0].name} is loading", retry_after_s=2.0)
    task = _TASKS[kind]
    if name is None:
        raise HttpError(404, "model", f"no model here is for {task}: see /v1/models")
    other = chosen[0].served
    assert other is not None
    raise HttpError(422, "model", f"{name} is for {other.manifest.task}, not for {task}")


def load_served(source: str, options: LoadOptions, settings: Settings) -> Served:
    """Opens a bundle for the task that it is for.

    source: a folder, or a name of a hub, where a checkpoint is a summarizer.
    Raises: BundleError, EngineError, OptionsError.
    """
    folder = find_bundle(
        source, "summarization", precision=options.precision, revision=options.revision
    )
    task = open_bundle(folder).manifest.task
    if task == "summarization":
        return _batched(_load_summarizer(folder, options), settings)
    if task == "text-classification":
        classifier = TextClassifier.load(
            folder,
            precision=options.precision,
            threads=options.threads,
            check_hashes=options.check_hashes,
            max_unknown=options.max_unknown,
        )
        return ServedClassifier(classifier, max_queue=settings.max_queue)
    if task == "question-answering":
        answerer = QuestionAnswerer.load(
            folder,
            precision=options.precision,
            threads=options.threads,
            check_hashes=options.check_hashes,
            max_unknown=options.max_unknown,
        )
        return ServedAnswerer(answerer, max_queue=settings.max_queue)
    raise _not_served(str(folder), task)


def check_source(source: str) -> Manifest | None:
    """The manifest of a folder, before anything is loaded; None for a name of a hub.

    Raises: BundleError, OptionsError for an address that is no model's.
    """
    if not Path(source).exists():
        try:
            is_address = bool(read_address(source)[0])
        except ValueError as err:
            raise OptionsError(str(err)) from err
        if is_address or (HUB_NAME.fullmatch(source) and not looks_like_path(source)):
            return None
    manifest = open_bundle(source).manifest
    if manifest.task not in _TASKS.values():
        raise _not_served(source, manifest.task)
    return manifest


def split_name(argument: str) -> tuple[str, str]:
    """Name and source of NAME=BUNDLE, or of BUNDLE alone, which is named after its last part."""
    name, is_named, source = argument.partition("=")
    if is_named and _NAME.fullmatch(name) and source and not Path(argument).exists():
        return name, source
    return Path(argument.partition("@")[0]).resolve().name, argument


def _load_summarizer(folder: Path, options: LoadOptions) -> Summarizer:
    return Summarizer.load(
        folder,
        precision=options.precision,
        provider=options.provider,
        threads=options.threads,
        kernel_cache=options.kernel_cache,
        check_hashes=options.check_hashes,
        newlines=options.newlines,
        max_unknown=options.max_unknown,
    )


def _batched(summarizer: Summarizer, settings: Settings) -> ServedSummarizer:
    from pegasus_runtime import Batcher  # when it is needed

    batcher = Batcher(
        summarizer,
        max_queue=settings.max_queue,
        max_wait_ms=settings.max_wait_ms,
        batch_size=settings.batch_size,
    )
    return ServedSummarizer(summarizer, batcher, max_queue=settings.max_queue)


def _not_served(source: str, task: str) -> BundleError:
    return BundleError(
        f"{source}: a bundle for task {task!r}, expected {', '.join(_TASKS.values())}: it cannot "
        "be served"
    )
