"""The server of the page: its files and headers, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from examples.client import EXAMPLES
from web import serve

WEB = EXAMPLES / "web"


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files in place of those that npm installs."""
    monkeypatch.setattr(serve, "PACKAGES", tmp_path / "packages")
    for path in serve.VENDORED.values():
        (serve.PACKAGES / path).parent.mkdir(parents=True, exist_ok=True)
        (serve.PACKAGES / path).write_text(path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "onnx").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "onnx" / "generate.onnx").write_bytes(b"graph")
    return folder


@contextmanager
def served(bundle: Path) -> Iterator[HTTPConnection]:
    server = serve.make_server(bundle, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield HTTPConnection("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response, response.read()


def test_files_come_with_their_types_and_the_headers_that_threads_need(bundle: Path) -> None:
    expected = {
        "/": ("text/html; charset=utf-8", (WEB / "index.html").read_bytes()),
        "/worker.mjs": ("text/javascript", (WEB / "worker.mjs").read_bytes()),
        "/vendor/ort-wasm-simd-threaded.wasm?version=1": (
            "application/wasm",
            serve.VENDORED["ort-wasm-simd-threaded.wasm"].encode(),
        ),
        "/bundle/onnx/generate.onnx?sha256=0": ("application/octet-stream", b"graph"),
    }
    with served(bundle) as connection:
        for path, (kind, content) in expected.items():
            response, got = get(connection, path)
            assert (response.status, response.headers["Content-Type"]) == (200, kind)
            assert got == content
            assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize("path", ["/serve.py", "/bundle/../serve.py", "/%2e%2e/%2e%2e/Makefile"])
def test_other_files_are_not_served(path: str, bundle: Path) -> None:
    with served(bundle) as connection:
        assert get(connection, path)[0].status == 404


def test_all_files_can_be_written_to_a_folder(bundle: Path, tmp_path: Path) -> None:
    serve.write_site(bundle, tmp_path / "site")
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert len(files) == len(serve.PAGE) + len(serve.VENDORED) + 2
    assert (tmp_path / "site" / "bundle" / "onnx" / "generate.onnx").read_bytes() == b"graph"


def test_what_is_missing_is_named(bundle: Path) -> None:
    with pytest.raises(SystemExit, match=r"serve: .* has no manifest.json: pass a bundle"):
        serve.find_files(bundle.parent)
    (serve.PACKAGES / serve.VENDORED["tokenizers.min.mjs"]).unlink()
    with pytest.raises(SystemExit, match=r"serve: .*tokenizers.min.mjs is missing: run npm ci in"):
        serve.find_files(bundle)


def test_the_page_and_its_cache_name_the_files_that_are_there() -> None:
    own = {path.name for path in WEB.iterdir() if path.suffix in (".html", ".css", ".mjs", ".js")}
    assert set(serve.PAGE) == own
    worker = (WEB / "service_worker.js").read_text("utf-8")
    kept = {*serve.PAGE, *(f"vendor/{name}" for name in serve.VENDORED)}
    kept -= {"index.html", "service_worker.js", "vendor/ort-wasm-simd-threaded.wasm"}
    assert all(f'"{name}"' in worker for name in kept)
