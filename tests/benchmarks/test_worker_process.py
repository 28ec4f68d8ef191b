"""Workers: a real one on a tiny bundle, and ones that misbehave."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines_under_test import ENGINES, worker_command
from worker_process import WorkerError, WorkerProcess
from workers.line_protocol import GenerationRequest

REQUEST = GenerationRequest(sources=[[120, 131, 140, 1], [150, 1]], beams=4, new_tokens=6)
READY = json.dumps({"import_s": 0.1, "load_s": 0.2, "peak_rss_bytes": 1, "versions": {}})


def start_fake(reply: str, log: Path) -> WorkerProcess:
    """A worker that gives the same answer to everything; without one it ends."""
    answer = f"for _ in sys.stdin: print({reply!r}, flush=True)" if reply else "sys.exit(3)"
    script = f"import sys; print({READY!r}, flush=True); print('oh', file=sys.stderr)\n{answer}"
    return WorkerProcess("fake", [sys.executable, "-c", script], log=log)


def test_a_worker_summarises_and_counts(tiny_bundle: Callable[[], Path], tmp_path: Path) -> None:
    command = worker_command(ENGINES["pegasus-edge-fp32"], tiny_bundle(), threads=1)
    with WorkerProcess("ours", command, log=tmp_path / "ours.log") as worker:
        reply = worker.generate(REQUEST)
        assert list(reply.tokens_per_document) == [6, 6]
        assert reply.seconds > 0
        assert reply.peak_rss_bytes >= worker.ready.peak_rss_bytes > 2**20
        assert set(worker.ready.versions) == {"pegasus-edge", "onnxruntime", "numpy"}
        assert worker.cpu_s() > 0
        batches = GenerationRequest(sources=[[1]], beams=1, new_tokens=2, max_batch_size=2)
        with pytest.raises(WorkerError, match="ours: ValueError: max_batch_size is 2"):
            worker.generate(batches)


def test_summaries_of_another_length_are_an_error(tmp_path: Path) -> None:
    reply = {"seconds": 1.0, "tokens_per_document": [6, 5], "peak_rss_bytes": 1, "file_bytes": 0}
    with start_fake(json.dumps(reply), tmp_path / "log") as worker:
        message = r"fake: generated \[5, 6\] tokens for 2 documents, expected 6 for each of 2"
        with pytest.raises(WorkerError, match=message):
            worker.generate(REQUEST)


def test_the_workers_own_error_is_passed_on_with_its_log(tmp_path: Path) -> None:
    with (
        start_fake('{"error": "out of paper"}', tmp_path / "log") as worker,
        pytest.raises(WorkerError, match=r"fake: out of paper\nlast lines of .*log:\noh"),
    ):
        worker.generate(REQUEST)


def test_a_worker_that_ends_is_an_error(tmp_path: Path) -> None:
    with (
        start_fake("", tmp_path / "log") as worker,
        pytest.raises(WorkerError, match="fake: the worker ended with exit status 3"),
    ):
        worker.generate(REQUEST)


def test_a_worker_that_cannot_load_is_an_error(tmp_path: Path) -> None:
    command = worker_command(ENGINES["pegasus-edge-fp32"], tmp_path / "nowhere", threads=1)
    with pytest.raises(WorkerError, match=r"ours: the worker ended(.|\n)*nowhere"):
        WorkerProcess("ours", command, log=tmp_path / "ours.log")
