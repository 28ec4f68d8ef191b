"""The page: its files from memory, and nothing else."""

from __future__ import annotations

from pegasus_serve.routes.page_files import read_page
from pegasus_serve.served.models import Model
from serve.asgi import Site, run


def test_the_page_and_its_files_are_served_with_their_types(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        reply = await site.get("/")
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.body == read_page()["index.html"].content
        assert reply.headers["cache-control"] == "no-cache"
        again = await site.get("/", {"if-none-match": reply.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        for name, file in read_page().items():
            reply = await site.get(f"/page/{name}")
            assert reply.body == file.content
            assert reply.headers["content-type"] == file.media_type

    run(scenario)


def test_nothing_else_of_the_package_is_served(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        for path in ("/page/", "/page/app.py", "/page/..%2fapp.py", "/page/../app.py", "/page/.."):
            assert (await site.get(path)).status == 404

    run(scenario)
