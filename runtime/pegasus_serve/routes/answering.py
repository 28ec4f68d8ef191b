"""One request on its way: handed in, waited for, counted, answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

from fastapi import Request, Response

from pegasus_runtime.tasks.question_answerer import Answer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tasks.text_classifier import Classification
from pegasus_serve.routes.events import EventStream, Newest
from pegasus_serve.served.models import find_served
from pegasus_serve.served.served_heads import ServedAnswerer, ServedClassifier
from pegasus_serve.served.served_summarizer import ServedSummarizer
from pegasus_serve.served.work import HandIn, hand_in, hand_in_all, wait_for
from pegasus_serve.serving import Serving
from pegasus_serve.wire.client_gone import while_connected
from pegasus_serve.wire.errors import Problem, internal, problem_of
from pegasus_serve.wire.request_record import record_of
from pegasus_serve.wire.results import Result, describe, json_response

__all__ = ["Answering"]

S = TypeVar("S", ServedSummarizer, ServedClassifier, ServedAnswerer)
T = TypeVar("T", Summary, Classification, list[Answer])


class Answering:
    """What the endpoints share: it knows the request's model, time and record."""

    def __init__(self, serving: Serving, request: Request, *, timeout_s: float) -> None:
        self._serving, self._request = serving, request
        self._record = record_of(request.scope)
        self.ends_at = self._record.started + timeout_s
        """A time of `time.monotonic`; reading the body counts."""

    def find(self, name: str | None, kind: type[S]) -> S:
        """The model that was asked for. Raises: HttpError."""
        self._record.model, served = find_served(self._serving.models, name, kind)
        return served

    async def run(
        self, hand_ins: Sequence[HandIn[T]], *, is_one: bool, num_characters: int = 0
    ) -> Response:
        """The answer for one document, or several.

        is_one: an error is the answer; otherwise it stands in the place of a result.
        num_characters: of all texts that become tokens.
        Raises: what went wrong with the one; Overloaded, if no document found a place;
        ClientGoneError.
        """
        outcomes = await while_connected(
            self._request.receive, self._wait(hand_ins, num_characters)
        )
        self._record.documents = len(outcomes)
        results: list[object] = []
        for outcome in outcomes:
            if isinstance(outcome, list):
                results += self._describe_all(outcome)
            elif not isinstance(outcome, BaseException):
                results += self._describe_all([outcome])
            elif is_one:
                raise self._refuse(outcome)
            else:
                self._record.failed_documents += 1
                results.append(self._problem(outcome).body())
        return json_response(
            {"model": self._record.model, "results": results, "seconds": self._seconds()}
        )

    async def stream(
        self, document: HandIn[Summary], newest: Newest, *, num_characters: int
    ) -> Response:
        """The events of one document. Raises: PegasusError, if it is not taken; ClientGoneError."""
        handed = await while_connected(
            self._request.receive, hand_in(self._serving.encoder(num_characters), document)
        )
        self._record.documents = 1
        self._record.source_tokens += handed.source_tokens
        return EventStream(handed.future, newest, ends_at=self.ends_at, finish=self._last_event)

    def _last_event(self, outcome: Summary | BaseException) -> tuple[str, object]:
        if isinstance(outcome, Summary):
            return "result", self._describe_all([outcome])[0]
        problem = self._problem(outcome)
        self._record.failed_documents += 1
        self._record.code = problem.code
        return "error", problem.body()

    async def _wait(
        self, hand_ins: Sequence[HandIn[T]], num_characters: int
    ) -> list[T | BaseException]:
        handed = await hand_in_all(self._serving.encoder(num_characters), hand_ins)
        self._record.source_tokens += sum(
            0 if isinstance(each, Exception) else each.source_tokens for each in handed
        )
        return await wait_for(handed, self.ends_at)

    def _refuse(self, outcome: BaseException) -> BaseException:
        self._record.failed_documents += 1
        return outcome

    def _problem(self, error: BaseException) -> Problem:
        """What is said of a document's error in the middle of an answer; others are logged."""
        problem = problem_of(error, is_stopping=self._serving.is_stopping)
        if problem is None:
            self._serving.log.error(error, self._record.id)
        return problem or internal()

    def _describe_all(self, results: Sequence[Result]) -> list[object]:
        """Of one document; of several answers, the first says what was read."""
        for result in results[:1]:
            self._serving.metrics.count_document(
                str(self._record.model),
                unknown_share=result.unknown_share,
                truncated=result.truncated,
                html=result.looks_like_html,
                control=result.control_characters,
            )
        for result in results:
            if isinstance(result, Summary):
                self._record.summary_tokens += len(result.token_ids)
                self._record.engine_s += result.seconds
        return [describe(each) for each in results]

    def _seconds(self) -> float:
        return round(time.monotonic() - self._record.started, 6)
