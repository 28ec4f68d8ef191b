"""The application: FastAPI over models and settings, for uvicorn, Ray Serve or a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from pegasus_runtime.errors import PegasusError
from pegasus_runtime.spelling import did_you_mean
from pegasus_serve.middleware.bodies import Bodies
from pegasus_serve.middleware.gate import Gate, Keys
from pegasus_serve.middleware.observe import Observe
from pegasus_serve.routes.page_routes import add_page
from pegasus_serve.routes.routes import Routes
from pegasus_serve.served.models import Model
from pegasus_serve.serving import Serving
from pegasus_serve.settings import Settings
from pegasus_serve.telemetry.logs import Log
from pegasus_serve.wire.answer_problem import problem_response
from pegasus_serve.wire.errors import HttpError, Problem, problem_of
from pegasus_serve.wire.openapi import make_openapi
from pegasus_serve.wire.request_record import record_of
from pegasus_serve.wire.results import json_response

__all__ = ["make_app", "serving_of"]

_LOADING_S = 30.0
"""For a model that is being loaded at the end: an interpreter that ends under it aborts."""


def make_app(
    models: Mapping[str, Model],
    settings: Settings,
    *,
    log: Log | None = None,
    on_failed: Callable[[Exception], None] | None = None,
) -> FastAPI:
    """The application for these models, by their names.

    Models that are not loaded yet are loaded in the background when it starts, and all are closed
    when it ends. log: None for standard error. on_failed: told, in another thread, when a model
    cannot be loaded; `/ready` says so in any case.
    """
    serving = Serving(models, settings, log=log or Log(), on_failed=on_failed)
    app = FastAPI(
        title="pegasus-serve",
        docs_url=None,  # they would fetch scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # it is answered below, in words of ours
        redirect_slashes=False,  # it would redirect to whatever host a client names
        lifespan=_lifespan(serving),
    )
    app.state.serving = serving
    _add_routes(app, serving)
    _add_handlers(app, serving)
    # Each is around those before it.
    app.add_middleware(Gate, serving=serving)
    app.add_middleware(Bodies, settings=settings)
    if settings.token is not None:
        app.add_middleware(Keys, token=settings.token)
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["retry-after", "x-request-id"],
        )
    app.add_middleware(Observe, serving=serving)
    return app


def serving_of(app: FastAPI) -> Serving:
    """The state of an app of `make_app`."""
    serving: Serving = app.state.serving
    return serving


def _lifespan(serving: Serving) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = threading.Thread(target=serving.load, name="pegasus-load", daemon=True)
        loading.start()
        try:
            yield
        finally:
            await asyncio.to_thread(serving.close)
            await asyncio.to_thread(loading.join, _LOADING_S)

    return lifespan


def _add_routes(app: FastAPI, serving: Serving) -> None:
    routes = Routes(serving)
    document = make_openapi(has_token=serving.settings.token is not None)

    async def openapi(request: Request) -> Response:
        return json_response(document)

    app.add_route("/health", routes.health)
    app.add_route("/ready", routes.ready)
    app.add_route("/metrics", routes.metrics)
    app.add_route("/openapi.json", openapi)
    app.add_route("/v1/models", routes.models)
    app.add_route("/v1/summarize", routes.summarize, methods=["POST"])
    app.add_route("/v1/classify", routes.classify, methods=["POST"])
    app.add_route("/v1/answer", routes.answer, methods=["POST"])
    add_page(app)


def _add_handlers(app: FastAPI, serving: Serving) -> None:
    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, _no_route(request, error))

    async def on_ours(request: Request, error: Exception) -> Response:
        problem = problem_of(error, is_stopping=serving.is_stopping)
        if problem is None:
            raise error  # logged, and answered by the middleware around
        return _answer(request, problem)

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(HttpError, on_ours)
    app.add_exception_handler(PegasusError, on_ours)


def _answer(request: Request, problem: Problem) -> Response:
    record_of(request.scope).code = problem.code
    return problem_response(problem)


def _no_route(request: Request, error: HTTPException) -> Problem:
    if error.status_code == 405:
        methods = (error.headers or {}).get("Allow", "")
        return Problem(
            status=405,
            code="method",
            message=f"{request.method[:20]} is not for this path: see /openapi.json",
            allow=", ".join(sorted(methods.split(", "))),
        )
    known = (
        "/v1/summarize",
        "/v1/classify",
        "/v1/answer",
        "/v1/models",
        "/health",
        "/ready",
        "/metrics",
    )
    meant = did_you_mean(request.url.path[:100], known) or ": see /openapi.json"
    return Problem(
        status=error.status_code, code="path", message=f"there is nothing at this path{meant}"
    )
