"""What a worker and the benchmark say to each other: one JSON object per line.

A worker loads one engine, writes a `Ready` line, and then answers each `GenerationRequest` on
stdin with a `GenerationReply` on stdout, or with {"error": message}. It ends when stdin does. What
libraries print goes to stderr. Only the standard library is used here, as workers run in several
environments.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

__all__ = [
    "LENGTH_PENALTY",
    "GenerationReply",
    "GenerationRequest",
    "Load",
    "Prepare",
    "Ready",
    "WorkerSettings",
    "answer_requests",
    "refuse_batch_settings",
    "run_worker",
]

LENGTH_PENALTY = 0.6  # google/pegasus-xsum's, for every engine
BATCH_TYPES = ("examples", "tokens")
KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Documents to summarise; every summary is forced to exactly ``new_tokens`` tokens."""

    sources: Sequence[Sequence[int]]
    beams: int
    new_tokens: int
    max_batch_size: int = 0
    """How many may run together, in units of ``batch_type``; 0 leaves it to the engine."""
    batch_type: str = "examples"

    def __post_init__(self) -> None:
        if not self.sources or not all(self.sources):
            raise ValueError("sources: expected at least one document, each with a token or more")
        for name in ("beams", "new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.max_batch_size < 0:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, expected 0 or more")
        if self.batch_type not in BATCH_TYPES:
            raise ValueError(
                f"batch_type is {self.batch_type!r}, expected one of {', '.join(BATCH_TYPES)}"
            )

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> GenerationRequest:
        """Raises: ValueError for what is no request."""
        content = json.loads(line)
        if not isinstance(content, dict):
            raise ValueError(f"the request is a {type(content).__name__}, expected a JSON object")
        try:
            return cls(**content)
        except TypeError as err:  # a field is missing or unknown
            raise ValueError(f"the request does not have the expected fields: {err}") from err


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationReply:
    seconds: float
    tokens_per_document: Sequence[int]
    """Tokens of each best hypothesis, EOS counted where the engine returns it."""
    peak_rss_bytes: int
    """The most memory that this process has had so far."""
    file_bytes: int
    """Its memory now that files back, such as mapped weights; 0 where it cannot be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    import_s: float
    """Importing the engine's packages."""
    load_s: float
    """From the folder on disk to an engine that takes requests, packages imported already."""
    peak_rss_bytes: int
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    folder: Path
    threads: int
    compute_type: str
    parallel_batches: int


Prepare = Callable[[GenerationRequest], Callable[[], Sequence[int]]]
"""Turns a request into what the engine takes (not timed), and returns the call that is timed."""
Load = Callable[[WorkerSettings], Prepare]


def run_worker(description: str, import_engine: Callable[[], Load], packages: Sequence[str]) -> int:
    """The whole life of a worker; ``packages`` are those whose versions it reports."""
    return answer_requests(_parse_settings(description), import_engine, _answer, packages)


def answer_requests(
    settings: Any,
    import_engine: Callable[[], Callable[[Any], Any]],
    answer: Callable[[str, Any], dict[str, object]],
    packages: Sequence[str],
) -> int:
    """The same for any settings, and any kind of reply.

    answer: (line, what the engine's load returned) -> reply.
    """
    replies = _claim_stdout()
    started = time.perf_counter()
    load = import_engine()
    imported = time.perf_counter()
    prepare = load(settings)
    loaded = time.perf_counter()
    ready = Ready(
        import_s=imported - started,
        load_s=loaded - imported,
        peak_rss_bytes=peak_rss_bytes(),
        versions={package: metadata.version(package) for package in packages},
    )
    print(json.dumps(asdict(ready)), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line, prepare)), file=replies, flush=True)
    return 0


def refuse_batch_settings(request: GenerationRequest) -> None:
    """Raises: ValueError. For engines that choose their batches themselves, or take just one."""
    if request.max_batch_size:
        raise ValueError(
            f"max_batch_size is {request.max_batch_size}, but this engine takes no batch settings:"
            " leave it at 0"
        )


def peak_rss_bytes() -> int:
    """High-water mark of this program.

    ``ru_maxrss`` would count what the parent held when it started the worker; Linux's VmHWM
    begins anew with the program.
    """
    in_kib = _status_kib("VmHWM")
    if in_kib is not None:
        return in_kib * KIB
    unit = 1 if sys.platform == "darwin" else KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _answer(line: str, prepare: Prepare) -> dict[str, object]:
    try:
        generate = prepare(GenerationRequest.from_line(line))
        started = time.perf_counter()
        tokens_per_document = generate()
        seconds = time.perf_counter() - started
    except Exception as err:  # whatever an engine raises belongs to the benchmark, not here
        traceback.print_exc()
        return {"error": f"{type(err).__name__}: {err}"}
    reply = GenerationReply(
        seconds=seconds,
        tokens_per_document=list(tokens_per_document),
        peak_rss_bytes=peak_rss_bytes(),
        file_bytes=(_status_kib("RssFile") or 0) * KIB,
    )
    return asdict(reply)


def _claim_stdout() -> TextIO:
    """A private stream to the benchmark; what others write to stdout goes to stderr from now on."""
    private = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return private


def _status_kib(field: str) -> int | None:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return None


def _parse_settings(description: str) -> WorkerSettings:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True, help="of the model")
    parser.add_argument("--threads", type=int, required=True, help="for one batch")
    parser.add_argument("--compute-type", default="float32", help="of CTranslate2")
    parser.add_argument(
        "--parallel-batches", type=int, default=1, help="batches that CTranslate2 runs at a time"
    )
    arguments = parser.parse_args()
    return WorkerSettings(
        folder=arguments.folder,
        threads=arguments.threads,
        compute_type=arguments.compute_type,
        parallel_batches=arguments.parallel_batches,
    )
