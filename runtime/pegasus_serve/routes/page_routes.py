"""`/` and `/page/...`: the page, from memory."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from pegasus_serve.routes.page_files import INDEX, PageFile, read_page

__all__ = ["add_page"]


def add_page(app: FastAPI) -> None:
    """Adds the page's routes, which are no part of the API."""
    files: Mapping[str, PageFile] = read_page()

    async def index(request: Request) -> Response:
        return _answer(request, files[INDEX])

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HTTPException(404)
        return _answer(request, files[name])

    app.add_route("/", index, include_in_schema=False)
    app.add_route("/page/{name}", file, include_in_schema=False)


def _answer(request: Request, file: PageFile) -> Response:
    headers = {"etag": file.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
