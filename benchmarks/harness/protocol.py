"""What a worker and the benchmark say to each other: one JSON object per line.

A worker loads one engine, writes a `Ready` line, and then answers each `Request` on stdin with a
`Reply` on stdout, or with {"error": message}. It ends when stdin does. What libraries print goes to
stderr. Only the standard library is used here, as workers run in several environments.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

LENGTH_PENALTY = 0.6  # google/pegasus-xsum's, for every engine
KIB = 1024

Tokens = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Documents to summarise; every summary is forced to exactly ``new_tokens`` tokens.

    new_tokens 0: they are only encoded, by a worker with nothing but an encoder.
    """

    sources: Tokens
    beams: int
    new_tokens: int
    max_batch_size: int = 0
    """How many may run together, in units of ``batch_type``; 0 leaves it to the engine."""
    batch_type: str = "examples"
    """Or "tokens"."""

    def __post_init__(self) -> None:
        if not self.sources or not all(self.sources):
            raise ValueError("sources: expected at least one document, each with a token or more")
        if self.beams < 1 or self.new_tokens < 0 or self.max_batch_size < 0:
            raise ValueError(f"a number is too small in {self}")

    def to_line(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    seconds: float
    tokens: Tokens
    """New ones of each best hypothesis, EOS included where the engine returns it."""
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
    engine: str = ""
    """What runs the model, where packages alone do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    folder: str
    threads: int
    """For one batch; 0 leaves it to the engine."""
    compute_type: str
    """As the engines' table has it: a dtype, or how ours runs."""
    device: str
    parallel_batches: int
    encoder_only: bool


Prepare = Callable[[Request], Callable[[], Tokens]]
"""Turns a request into what the engine takes (not timed), and returns the call that is timed, which
has finished on the device when it returns."""
Load = Callable[[WorkerSettings], Prepare]


def run_worker(
    import_engine: Callable[[], Load],
    packages: Sequence[str],
    describe: Callable[[WorkerSettings], str] = lambda settings: "",
) -> int:
    """The whole life of a worker.

    packages: whose versions it reports, if they are there. describe: the `Ready.engine`.
    """
    settings = WorkerSettings(**json.loads(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others write to stdout goes to stderr from now on
    started = time.perf_counter()
    load = import_engine()
    imported = time.perf_counter()
    prepare = load(settings)
    loaded = time.perf_counter()
    ready = Ready(
        import_s=imported - started,
        load_s=loaded - imported,
        peak_rss_bytes=_status_bytes("VmHWM"),
        versions=_versions(packages),
        engine=describe(settings),
    )
    print(json.dumps(asdict(ready)), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(line, prepare)), file=replies, flush=True)
    return 0


def refuse_batch_settings(request: Request) -> None:
    """Raises: ValueError. For engines that choose their batches themselves, or take just one."""
    if request.max_batch_size:
        raise ValueError(
            f"max_batch_size is {request.max_batch_size}, but this engine takes no batch settings:"
            " leave it at 0"
        )


def _answer(line: str, prepare: Prepare) -> dict[str, object]:
    try:
        generate = prepare(Request(**json.loads(line)))
        started = time.perf_counter()
        tokens = generate()
        seconds = time.perf_counter() - started
    except Exception as err:  # whatever an engine raises belongs to the benchmark, not here
        traceback.print_exc()
        message = " ".join(str(err).split())
        return {"error": f"{type(err).__name__}: {message}"}
    reply = Reply(
        seconds=seconds,
        tokens=[list(row) for row in tokens],
        peak_rss_bytes=_status_bytes("VmHWM"),
        file_bytes=_status_bytes("RssFile"),
    )
    return asdict(reply)


def _status_bytes(field: str) -> int:
    """Of memory, as Linux tells it; 0 elsewhere. VmHWM, unlike ru_maxrss, begins anew with this
    program, and does not count what the parent held when it started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((KIB * int(x.split()[1]) for x in lines if x.startswith(f"{field}:")), 0)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
