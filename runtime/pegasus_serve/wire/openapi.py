"""The OpenAPI document: routes, types, examples and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pegasus_runtime.version import __version__
from pegasus_serve.wire.request_models import AnswerRequest, ClassifyRequest, SummarizeRequest
from pegasus_serve.wire.response_models import (
    AnswerResponse,
    ClassifyResponse,
    ErrorResponse,
    ModelsResponse,
    SummarizeResponse,
)

__all__ = ["make_openapi"]

_REF = "#/components/schemas/{model}"
_ERRORS = {
    400: "The body is not JSON.",
    401: "The token is missing or wrong.",
    404: "There is no such model.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is said to be something else than JSON.",
    422: "A field, an option or a text is of no use.",
    500: "The server failed.",
    503: "Overloaded, loading or shutting down: try again after Retry-After seconds.",
    504: "Out of time.",
}
_POSTS: tuple[tuple[str, str, str, type[BaseModel], type[BaseModel]], ...] = (
    ("/v1/summarize", "summarize", "Summarise", SummarizeRequest, SummarizeResponse),
    ("/v1/classify", "classify", "Label", ClassifyRequest, ClassifyResponse),
    ("/v1/answer", "answer", "Answer a question", AnswerRequest, AnswerResponse),
)
_GETS = (
    ("/v1/models", "models", "What is served, with limits and defaults", "application/json"),
    ("/health", "health", "Whether the process answers", "application/json"),
    ("/ready", "ready", "Whether requests are taken; 503 if not", "application/json"),
    ("/metrics", "metrics", "For Prometheus", "text/plain"),
)


def make_openapi(*, has_token: bool) -> dict[str, Any]:
    """Of OpenAPI 3.1; has_token: whether requests need one."""
    kinds: list[type[BaseModel]] = [ErrorResponse, ModelsResponse, *(post[3] for post in _POSTS)]
    kinds += [post[4] for post in _POSTS]
    schemas = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REF)
    components: dict[str, Any] = {"schemas": schemas[1]["$defs"]}
    paths: dict[str, Any] = {}
    for path, name, summary, asked, answered in _POSTS:
        paths[path] = {"post": _post(name, summary, asked, answered)}
    for path, name, summary, media_type in _GETS:
        paths[path] = {"get": _get(name, summary, media_type)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "pegasus-serve", "version": __version__},
        "paths": paths,
        "components": components,
    }
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in (*(each[0] for each in _POSTS), "/v1/models", "/metrics"):
            for operation in paths[path].values():
                operation["security"] = [{"token": []}]
                operation["responses"]["401"] = _error(401)
    return document


def _post(
    name: str, summary: str, asked: type[BaseModel], answered: type[BaseModel]
) -> Mapping[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _ref(answered)}}
    if name == "summarize":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(asked)}},
        },
        "responses": {
            "200": {
                "description": "Done; of several texts, some may have failed.",
                "content": content,
            },
            **{str(status): _error(status) for status in _ERRORS if status != 401},
        },
    }


def _get(name: str, summary: str, media_type: str) -> dict[str, Any]:
    schema = _ref(ModelsResponse) if name == "models" else {}
    responses: dict[str, Any] = {
        "200": {"description": "So it is.", "content": {media_type: {"schema": schema}}}
    }
    if name == "ready":
        responses["503"] = {"description": "Not yet, or not any more."}
    return {"operationId": name, "summary": summary, "responses": responses}


def _ref(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=kind.__name__)}


def _error(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref(ErrorResponse)}}
    return {"description": _ERRORS[status], "content": content}
