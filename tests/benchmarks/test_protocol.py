"""Requests between a benchmark and its workers, and workers: real ones, and ones that misbehave."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engines import ENGINES, worker_command
from harness.protocol import Request, refuse_batch_settings
from harness.worker_process import WorkerError, WorkerProcess
from harness.workers.hugging_face_worker import count_new_tokens, pad_sources

OURS = ENGINES["cpu"]["pegasus-edge-fp32"]
THEIRS = ENGINES["cpu"]["transformers-fp32"]
REQUEST = Request(sources=[[120, 131, 140, 1], [150, 1]], beams=4, new_tokens=6)
READY = json.dumps({"import_s": 0.1, "load_s": 0.2, "peak_rss_bytes": 1, "versions": {}})


def start_fake(reply: str, log: Path) -> WorkerProcess:
    """A worker that gives the same answer to everything; without one it ends."""
    answer = f"for _ in sys.stdin: print({reply!r}, flush=True)" if reply else "sys.exit(3)"
    script = f"import sys; print({READY!r}, flush=True); print('oh', file=sys.stderr)\n{answer}"
    return WorkerProcess("fake", [sys.executable, "-c", script], log=log)


def test_a_request_survives_its_line() -> None:
    content = json.loads(REQUEST.to_line())
    assert Request(**content) == replace(REQUEST, sources=content["sources"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sources": []}, "sources: expected at least one document"),
        ({"sources": [[1], []]}, "sources: expected at least one document"),
        ({"beams": 0}, "a number is too small in Request"),
        ({"new_tokens": -1}, "a number is too small in Request"),
        ({"max_batch_size": -1}, "a number is too small in Request"),
    ],
)
def test_an_impossible_request_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Request(**(json.loads(REQUEST.to_line()) | changed))


def test_engines_without_batch_settings_refuse_them() -> None:
    refuse_batch_settings(REQUEST)
    with pytest.raises(ValueError, match="max_batch_size is 4, but this engine takes no batch"):
        refuse_batch_settings(replace(REQUEST, max_batch_size=4))


def test_sources_are_padded_at_the_end() -> None:
    ids, mask = pad_sources([[5, 6, 1], [7, 1]])
    assert ids == [[5, 6, 1], [7, 1, 0]]
    assert mask == [[1, 1, 1], [1, 1, 0]]


def test_new_tokens_count_neither_the_start_nor_padding_at_the_end() -> None:
    assert count_new_tokens([0, 5, 0, 6, 1]) == 4
    assert count_new_tokens([0, 5, 6, 1, 0, 0]) == 3
    assert count_new_tokens([0]) == 0


def test_our_worker_gives_tokens_and_says_why_it_fails(
    tiny_bundle: Callable[[], Path], tmp_path: Path
) -> None:
    command = worker_command(OURS, tiny_bundle(), threads=1)
    with WorkerProcess("ours", command, log=tmp_path / "ours.log") as worker:
        reply = worker.generate(REQUEST)
        assert [len(tokens) for tokens in reply.tokens] == [6, 6]
        assert reply.seconds > 0
        assert reply.peak_rss_bytes >= worker.ready.peak_rss_bytes > 2**20
        assert {"pegasus-edge", "onnxruntime", "numpy"} <= set(worker.ready.versions)
        assert worker.cpu_s() > 0
        batches = replace(REQUEST, max_batch_size=2)
        with pytest.raises(WorkerError, match=r"^ours: ValueError: max_batch_size is 2"):
            worker.generate(batches)


def test_a_worker_of_an_encoder_generates_nothing(
    tiny_bundle: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tiny_bundle("BigBirdPegasusForConditionalGeneration")
    command = worker_command(OURS, folder, threads=1, encoder_only=True)
    with WorkerProcess("ours", command, log=tmp_path / "ours.log") as worker:
        reply = worker.generate(Request(sources=[[120, 131, 1]], beams=1, new_tokens=0))
        assert reply.tokens == [[]]


def test_the_worker_of_transformers_gives_tokens(
    tiny_checkpoint: Callable[[], Path], tmp_path: Path
) -> None:
    command = worker_command(THEIRS, tiny_checkpoint(), threads=1)
    with WorkerProcess("theirs", command, log=tmp_path / "theirs.log") as worker:
        assert [len(tokens) for tokens in worker.generate(REQUEST).tokens] == [6, 6]
        assert "transformers" in worker.ready.versions


def test_summaries_of_another_length_are_an_error(tmp_path: Path) -> None:
    tokens = [[1] * 6, [1] * 5]
    reply = {"seconds": 1.0, "tokens": tokens, "peak_rss_bytes": 1, "file_bytes": 0}
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


def test_a_worker_that_ends_says_its_last_line(tmp_path: Path) -> None:
    with (
        start_fake("", tmp_path / "log") as worker,
        pytest.raises(WorkerError, match=r"^fake: the worker ended with exit status 3: oh\n"),
    ):
        worker.generate(REQUEST)


def test_a_worker_that_has_ended_has_no_processor_time_to_tell(tmp_path: Path) -> None:
    """As one that another ended, for want of memory."""
    with start_fake("", tmp_path / "log") as worker:
        with pytest.raises(WorkerError):
            worker.generate(REQUEST)
        with pytest.raises(WorkerError, match=r"^fake: the worker ended with exit status 3: oh"):
            worker.cpu_s()


def test_a_worker_that_cannot_load_is_an_error(tmp_path: Path) -> None:
    command = worker_command(OURS, tmp_path / "nowhere", threads=1)
    with pytest.raises(WorkerError, match=r"ours: the worker ended(.|\n)*nowhere"):
        WorkerProcess("ours", command, log=tmp_path / "ours.log")
