"""A folder over HTTP on the loopback interface; it counts what is asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["serve_folder"]


@contextmanager
def serve_folder(
    folder: Path, *, piece_bytes: int | None = None
) -> Iterator[tuple[str, Counter[str]]]:
    """Its address, and how often each path was read.

    piece_bytes: of the pieces in which files come, one by one, without a word of their size.
    """
    reads: Counter[str] = Counter()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            reads[self.path] += 1
            if piece_bytes is None:
                super().do_GET()
            else:
                self.give_pieces(Path(self.translate_path(self.path)).read_bytes(), piece_bytes)

        def do_HEAD(self) -> None:
            if piece_bytes is None:
                super().do_HEAD()
            else:
                self.send_response(200)
                self.end_headers()

        def give_pieces(self, data: bytes, size: int) -> None:
            self.send_response(200)
            self.end_headers()  # HTTP/1.0: the end of the connection is that of the file
            for start in range(0, len(data), size):
                self.wfile.write(data[start : start + size])
                self.wfile.flush()
                time.sleep(0.001)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", reads
        finally:
            server.shutdown()
            thread.join()
