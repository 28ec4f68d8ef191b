"""A classifier and an answerer, as they are served: one text at a time, from a bounded queue."""

from __future__ import annotations

from dataclasses import dataclass

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.tasks.question_answerer import Answer, QuestionAnswerer
from pegasus_runtime.tasks.text_classifier import Classification, TextClassifier
from pegasus_serve.served.handed_in import HandedIn
from pegasus_serve.served.head_queue import HeadQueue

__all__ = ["AnswerOrder", "ServedAnswerer", "ServedClassifier"]

_LATE_S = 0.25
"""One that waits in the queue is not told there that its time is over, but when its turn comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOrder:
    """One question about one text."""

    question: str
    context: str
    top_k: int
    max_answer_tokens: int
    truncate: bool


class ServedClassifier:
    """One bundle for text classification."""

    def __init__(self, classifier: TextClassifier, *, max_queue: int) -> None:
        self.classifier = classifier
        self.queue = HeadQueue(max_queue)

    @property
    def manifest(self) -> Manifest:
        return self.classifier.bundle.manifest

    def hand_in(self, text: str, *, truncate: bool, ends_at: float) -> HandedIn[Classification]:
        """Raises: Overloaded; the future: what `TextClassifier.classify` raises."""
        future = self.queue.submit(
            lambda cancel, timeout_s: self.classifier.classify(
                text, truncate=truncate, cancel=cancel, timeout_s=timeout_s
            ),
            ends_at=ends_at,
        )
        return HandedIn(future=future, late_s=_LATE_S)

    def close(self, *, finish: bool = True) -> None:
        """Ends it; finish: after what waits and runs."""
        self.queue.close(finish=finish)
        self.classifier.close()


class ServedAnswerer:
    """One bundle for question answering."""

    def __init__(self, answerer: QuestionAnswerer, *, max_queue: int) -> None:
        self.answerer = answerer
        self.queue = HeadQueue(max_queue)

    @property
    def manifest(self) -> Manifest:
        return self.answerer.bundle.manifest

    def hand_in(self, order: AnswerOrder, *, ends_at: float) -> HandedIn[list[Answer]]:
        """Raises: Overloaded; the future: what `QuestionAnswerer.answer` raises."""
        future = self.queue.submit(
            lambda cancel, timeout_s: self.answerer.answer(
                order.question,
                order.context,
                top_k=order.top_k,
                max_answer_tokens=order.max_answer_tokens,
                truncate=order.truncate,
                cancel=cancel,
                timeout_s=timeout_s,
            ),
            ends_at=ends_at,
        )
        return HandedIn(future=future, late_s=_LATE_S)

    def close(self, *, finish: bool = True) -> None:
        """Ends it; finish: after what waits and runs."""
        self.queue.close(finish=finish)
        self.answerer.close()
