"""Serves the page and a bundle, with the headers that threads in a browser need.

python serve.py BUNDLE [--port 8000]        # on this computer
python serve.py BUNDLE --write FOLDER       # all files in one folder, for any web server

Needs `npm ci` in this folder before. Another server should send the two headers of HEADERS as well:
without them the page works, but on one core.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
PACKAGES = next(
    (path for path in (HERE, HERE.parent) if (path / "node_modules/onnxruntime-web").exists()), HERE
).joinpath("node_modules")  # the one above, where npm installed all examples
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",  # ask whether a file has changed
}
VENDORED = {
    "ort.wasm.min.mjs": "onnxruntime-web/dist/ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs": "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "tokenizers.min.mjs": "@huggingface/tokenizers/dist/tokenizers.min.mjs",
}
PAGE = (
    "index.html",
    "style.css",
    "page.mjs",
    "worker.mjs",
    "download.mjs",
    "graphs.mjs",
    "one_beam.mjs",
    "settings.mjs",
    "tokenizer.mjs",
    "service_worker.js",
)


def find_files(bundle: Path) -> dict[str, Path]:
    """Path in the site -> file: the page, the packages that it needs, and the bundle.

    Raises: SystemExit where the bundle or a package is not there.
    """
    if not (bundle / "manifest.json").exists():
        sys.exit(f"serve: {bundle} has no manifest.json: pass a bundle of pegasus-export")
    files = {name: HERE / name for name in PAGE}
    files |= {f"vendor/{name}": PACKAGES / path for name, path in VENDORED.items()}
    missing = [path for path in files.values() if not path.exists()]
    if missing:
        sys.exit(f"serve: {missing[0]} is missing: run npm ci in {HERE}")
    return files | {
        f"bundle/{path.relative_to(bundle).as_posix()}": path
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
    }


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of a table, and nothing else."""

    extensions_map = {  # noqa: RUF012 - as the base class has it
        ".html": "text/html; charset=utf-8",
        ".css": "text/css",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".json": "application/json",
        ".wasm": "application/wasm",
        "": "application/octet-stream",
    }

    def __init__(self, *args: object, files: Mapping[str, Path]) -> None:
        self.files = files
        super().__init__(*args)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        name = unquote(urlsplit(path).path).lstrip("/") or "index.html"
        return str(self.files.get(name, HERE / "no such file"))

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Requests are not told."""


def make_server(bundle: Path, port: int) -> ThreadingHTTPServer:
    """A server on this computer alone; port 0 takes one that is free."""
    handler = partial(Handler, files=find_files(bundle))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def write_site(bundle: Path, folder: Path) -> None:
    """Copies all files to the folder."""
    for name, path in find_files(bundle).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves the page and a bundle.")
    parser.add_argument("bundle", type=Path, help="with generate.onnx")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="copy all there instead")
    arguments = parser.parse_args()
    if arguments.write:
        write_site(arguments.bundle, arguments.write)
        return
    with make_server(arguments.bundle, arguments.port) as server:
        print(f"http://localhost:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
