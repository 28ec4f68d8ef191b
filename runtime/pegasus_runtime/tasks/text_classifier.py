"""Texts to labels with scores, from a bundle of task text-classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Activation, Bundle
from pegasus_runtime.errors import InputError
from pegasus_runtime.generation.stream import collect_results
from pegasus_runtime.generation.watch import Cancel, Watch
from pegasus_runtime.sessions.ort.model import OrtModel
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.encode_documents import check_several
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.origin import remembers_origin
from pegasus_runtime.tokenization.tokenizer import Encoding, Tokenizer

__all__ = ["Classification", "TextClassifier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The labels of one text."""

    label: str
    """The one of the highest score."""
    score: float
    """Its score: a probability, or the plain output of a regression."""
    scores: dict[str, float]
    """Every label's, the highest first."""
    truncated: bool
    """Whether the end of the text was cut off, as it was over the bundle's limit."""
    unknown_share: float = 0.0
    """Of the text's characters that were read, those that the tokenizer does not know, 0 to 1."""
    control_characters: int = 0
    """Of the whole text: those that nobody sees and no model was trained to read, such as
    escape sequences, soft hyphens, and marks that turn the direction of a text."""
    looks_like_html: bool = False
    """Whether the text has tags, comments or entities of HTML, which a model reads as words."""


class TextClassifier(Closing[OrtModel]):
    """A loaded text-classification bundle; one may be used from several threads.

    >>> with TextClassifier.load("topics") as classifier:     # doctest: +SKIP
    ...     print(classifier.classify("A long text ...").label)
    """

    def __init__(self, bundle: Bundle, model: OrtModel, tokenizer: Tokenizer) -> None:
        super().__init__(bundle, model)
        self._tokenizer = tokenizer

    @classmethod
    @remembers_origin
    def load(
        cls,
        source: Path | str,
        *,
        precision: str | None = None,
        revision: str | None = None,
        threads: int | None = None,
        check_hashes: bool = False,
        manifest_sha256: str | None = None,
        max_unknown: float | None = None,
    ) -> TextClassifier:
        """Loads a bundle that pegasus-export wrote for target `ort`.

        source, precision, revision: see `Summarizer.load`.
        threads: of the engine; see `Summarizer.load`. check_hashes: reads every file and compares
        its SHA-256. manifest_sha256, max_unknown: see `Summarizer.load`. Raises: BundleError,
        EngineError, OptionsError for impossible threads or a max_unknown that is no share.
        """
        opened = open_task(
            source,
            "text-classification",
            lambda bundle: OrtModel(bundle, ["logits"], threads=threads),
            precision=precision,
            revision=revision,
            check_hashes=check_hashes,
            manifest_sha256=manifest_sha256,
            max_unknown=max_unknown,
        )
        return cls(opened.bundle, opened.model, opened.tokenizer)

    @overload  # a str is a Sequence[str] too; the first match is the one that counts
    def classify(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        truncate: bool = False,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Classification: ...

    @overload
    def classify(
        self,
        texts: Sequence[str],
        *,
        truncate: bool = False,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Classification]: ...

    def classify(
        self,
        texts: str | Sequence[str],
        *,
        truncate: bool = False,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Classification | list[Classification]:
        """The labels of one text, or of each of a list.

        Scores are those of transformers' text-classification pipeline: softmax over labels, a
        sigmoid each where they do not exclude each other or there is only one, or the model's
        plain output for a regression; config.json's problem_type says which.
        truncate: cuts a text that is over the bundle's limit, rather than raising. cancel,
        timeout_s: see `Summarizer.summarize`.
        Raises: InputError, EngineError, OptionsError; GenerationInterrupted, whose `results` are
        the labels of the texts that were finished.
        """
        model = self._open_engine()
        check_several("texts", texts)
        encodings = [
            self._encode(number, text, truncate=truncate)
            for number, text in enumerate([texts] if isinstance(texts, str) else texts)
        ]
        watch = Watch(
            len(encodings),
            on_progress=None,
            cancel=cancel,
            timeout_s=timeout_s,
            what="classification",
            shorter="shorter texts or fewer of them",
        )
        sources = [each.token_ids for each in encodings]
        found = watch.each(lambda interrupt: model.run(sources, interrupt=interrupt))
        classified = (
            self._classification(logits, encoding)
            for (logits,), encoding in zip(found, encodings, strict=True)
        )
        results = collect_results(classified, len(encodings))
        return results[0] if isinstance(texts, str) else results

    def logits(self, sources: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
        """[labels] of each source, in order, before they become scores.

        sources: token ids, as `encode` makes them. Raises: EngineError.
        """
        return [logits for (logits,) in self._open_engine().run(sources)]

    def encode(
        self,
        text: str,
        *,
        pair: str | None = None,
        truncate: bool = False,
        max_tokens: int | None = None,
    ) -> Encoding:
        """Token ids of a text, or of a pair in a row, within the bundle's limit, or max_tokens.

        Of a pair, the longer is cut first, as in transformers. Raises: InputError.
        """
        limit = self.bundle.manifest.limits.max_source_tokens
        limit = limit if max_tokens is None else min(limit, max_tokens)
        model = self.bundle.manifest.architecture
        return self._tokenizer.encode(
            text, pair=pair, max_tokens=limit, truncate=truncate, model=model
        )

    def _encode(self, number: int, text: str, *, truncate: bool) -> Encoding:
        try:
            return self.encode(text, truncate=truncate)
        except InputError as err:
            raise InputError(f"text {number}: {err}") from err

    def _classification(
        self, logits: npt.NDArray[np.float32], encoding: Encoding
    ) -> Classification:
        classifier = self.bundle.manifest.classifier
        assert classifier is not None  # open_task has looked
        values = activate(logits, classifier.activation)
        order = np.argsort(-values, kind="stable")
        scores = {classifier.labels[index]: float(values[index]) for index in order}
        label = next(iter(scores))
        return Classification(
            label=label,
            score=scores[label],
            scores=scores,
            truncated=encoding.truncated,
            unknown_share=encoding.unknown_share,
            control_characters=encoding.control_characters,
            looks_like_html=encoding.looks_like_html,
        )


def activate(logits: npt.NDArray[np.float32], activation: Activation) -> npt.NDArray[np.float64]:
    """Logits [labels] to scores [labels], in float64."""
    values = logits.astype(np.float64)
    if activation == "sigmoid":
        values = 1 / (1 + np.exp(-values))
    if activation == "softmax":
        values = np.exp(values - values.max())
        values /= values.sum()
    return values
