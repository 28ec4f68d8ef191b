"""What a worker of the GPU benchmarks and its parent say to each other: one JSON object per line.

As workers/line_protocol.py, but a reply holds the tokens themselves, so that engines can be
compared: a `Ready` line first, then a `TokensReply` to each `GenerationRequest` on stdin, or
{"error": message}.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from workers.line_protocol import GenerationRequest, answer_requests

__all__ = ["Load", "Prepare", "TokensReply", "WorkerSettings", "run_worker"]

Tokens = Sequence[Sequence[int]]
Prepare = Callable[[GenerationRequest], Callable[[], Tokens]]
"""Turns a request into what the engine takes (not timed), and returns the call that is timed: the
new tokens of each document's best hypothesis, which the GPU has finished when it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    folder: Path
    compute_type: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensReply:
    seconds: float
    tokens: Tokens

    @property
    def tokens_per_document(self) -> list[int]:
        return [len(row) for row in self.tokens]


Load = Callable[[WorkerSettings], Prepare]


def run_worker(description: str, import_engine: Callable[[], Load], packages: Sequence[str]) -> int:
    """The whole life of a worker; ``packages``: whose versions it reports, if they are there."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True, help="of the model")
    parser.add_argument("--compute-type", default="", help="see engines.py")
    parser.add_argument("--device", default="cuda", help="of peers; tests take the cpu")
    settings = WorkerSettings(**vars(parser.parse_args()))
    return answer_requests(settings, import_engine, _answer, [x for x in packages if _is_there(x)])


def _answer(line: str, prepare: Prepare) -> dict[str, object]:
    try:
        generate = prepare(GenerationRequest.from_line(line))
        started = time.perf_counter()
        tokens = generate()
        seconds = time.perf_counter() - started
    except Exception as err:  # whatever an engine raises belongs to the benchmark, not here
        traceback.print_exc()
        message = " ".join(str(err).split())
        return {"error": f"{type(err).__name__}: {message}"}
    return asdict(TokensReply(seconds=seconds, tokens=[list(row) for row in tokens]))


def _is_there(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
