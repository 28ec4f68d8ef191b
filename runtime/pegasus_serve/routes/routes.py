"""The routes of the API: what is asked, and of whom."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from fastapi import Request, Response
from pydantic import BaseModel

from pegasus_serve.routes.answering import Answering
from pegasus_serve.routes.events import Newest
from pegasus_serve.served.model_card import describe_model, describe_settings
from pegasus_serve.served.served_heads import AnswerOrder, ServedAnswerer, ServedClassifier
from pegasus_serve.served.served_summarizer import ServedSummarizer, SummaryOrder
from pegasus_serve.serving import Serving
from pegasus_serve.telemetry.metrics import METRICS_TYPE
from pegasus_serve.wire.errors import HttpError
from pegasus_serve.wire.limits import check_documents, check_timeout, read_parameters
from pegasus_serve.wire.parse_request import parse_request
from pegasus_serve.wire.request_models import AnswerRequest, ClassifyRequest, SummarizeRequest
from pegasus_serve.wire.results import json_response

__all__ = ["Routes"]

B = TypeVar("B", bound=BaseModel)


class Routes:
    """The endpoints of one server."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def health(self, request: Request) -> Response:
        """Whether the process answers at all."""
        return json_response({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Whether requests are taken: 503 while models are loaded, and when the server ends."""
        serving = self._serving
        status = "ready"
        if serving.is_stopping:
            status = "shutting_down"
        elif serving.failure is not None:
            status = "failed"
        elif not serving.is_ready:
            status = "loading"
        models = {name: model.served is not None for name, model in serving.models.items()}
        code = 200 if status == "ready" else 503
        return json_response({"status": status, "models": models}, code)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        return Response(self._serving.metrics.text(), media_type=METRICS_TYPE)

    async def models(self, request: Request) -> Response:
        """What is served, with limits and defaults."""
        models = [describe_model(model) for model in self._serving.models.values()]
        limits = describe_settings(self._serving.settings)
        return json_response({"models": models, "limits": limits})

    async def summarize(self, request: Request) -> Response:
        """One text, or several, to summaries."""
        asked = await _read(request, SummarizeRequest)
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        settings = self._serving.settings
        check_documents(len(texts), settings)
        options = read_parameters(asked.parameters, settings)
        answering = self._answering(request, asked.timeout_s)
        served = answering.find(asked.model, ServedSummarizer)
        served.check(options)
        order = SummaryOrder(
            options=options, ends_at=answering.ends_at, long=asked.long, priority=asked.priority
        )
        if asked.stream and len(texts) > 1:
            raise HttpError(
                422, "request", f"stream is true with {len(texts)} inputs, expected one text"
            )
        num_characters = sum(map(len, texts))
        if asked.stream:
            newest = Newest()
            document = partial(served.hand_in, texts[0], order, newest.put)
            return await answering.stream(document, newest, num_characters=num_characters)
        return await answering.run(
            [partial(served.hand_in, text, order) for text in texts],
            is_one=isinstance(asked.inputs, str),
            num_characters=num_characters,
        )

    async def classify(self, request: Request) -> Response:
        """One text, or several, to labels."""
        asked = await _read(request, ClassifyRequest)
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        check_documents(len(texts), self._serving.settings)
        answering = self._answering(request, asked.timeout_s)
        served = answering.find(asked.model, ServedClassifier)
        truncate, ends_at = asked.long == "truncate", answering.ends_at
        hand_ins = [
            partial(served.hand_in, text, truncate=truncate, ends_at=ends_at) for text in texts
        ]
        return await answering.run(hand_ins, is_one=isinstance(asked.inputs, str))

    async def answer(self, request: Request) -> Response:
        """A question about a text to its passages."""
        asked = await _read(request, AnswerRequest)
        answering = self._answering(request, asked.timeout_s)
        served = answering.find(asked.model, ServedAnswerer)
        order = AnswerOrder(
            question=asked.question,
            context=asked.context,
            top_k=asked.top_k,
            max_answer_tokens=asked.max_answer_tokens,
            truncate=asked.long == "truncate",
        )
        return await answering.run(
            [partial(served.hand_in, order, ends_at=answering.ends_at)], is_one=True
        )

    def _answering(self, request: Request, timeout_s: float | None) -> Answering:
        """Raises: HttpError for more time than a request may have."""
        return Answering(
            self._serving, request, timeout_s=check_timeout(timeout_s, self._serving.settings)
        )


async def _read(request: Request, kind: type[B]) -> B:
    """Raises: HttpError."""
    return parse_request(await request.body(), request.headers.get("content-type"), kind)
