"""The GPU's latency benchmark: what needs no GPU."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark_arguments import SummaryWork
from gpu.engines import (
    ENGINES,
    REFERENCE,
    PlanSizes,
    export_command,
    parse_engines,
    why_missing,
    worker_command,
)
from gpu.latency import Measured, Settings, main, measure_engines, plan_requests
from gpu.latency_table import (
    BASELINE,
    GpuRow,
    RowInputs,
    agreeing_tokens,
    format_rows,
    judge_rows,
    latency_rows,
    percentile,
)
from gpu.step_bytes import StepBytes, Storage, step_bytes
from gpu.workers.token_protocol import TokensReply
from pegasus_runtime.native.gpu import current_capability
from worker_process import WorkerError, WorkerProcess
from workers.line_protocol import GenerationRequest
from xsum_shape import XSUM

OURS = "pegasus-edge-trt-rtx-fp16"
WORK = SummaryWork(source_tokens=4, new_tokens=12, beams=2)
READY = json.dumps({"import_s": 0.1, "load_s": 0.2, "peak_rss_bytes": 1, "versions": {}})
REQUEST = GenerationRequest(sources=[[120, 131, 140, 1], [150, 1]], beams=4, new_tokens=6)


class FakeEngine:
    """Takes so many seconds for each call, or fails at summaries of some length."""

    def __init__(self, seconds: float, *, fails_at: int = 0) -> None:
        self.seconds = seconds
        self.fails_at = fails_at

    def generate(self, request: GenerationRequest) -> TokensReply:
        if request.new_tokens == self.fails_at:
            raise WorkerError("out of memory")
        tokens = [[7] * request.new_tokens for _ in request.sources]
        return TokensReply(seconds=self.seconds, tokens=tokens)


def inputs(name: str, batch: int, long_s: Sequence[float]) -> RowInputs:
    return RowInputs(
        engine=ENGINES[name],
        batch=batch,
        long_s=long_s,
        short_s=0.010,
        tokens=[[5, 6, 1]],
        expected=[[5, 7, 2]],
    )


def make_rows(measured: Sequence[RowInputs]) -> list[GpuRow]:
    return latency_rows(measured, shape=XSUM, work=WORK, short_tokens=2, bytes_per_s=1e12)


def test_a_step_of_xsum_reads_667_megabytes_of_weights_in_fp16() -> None:
    def bytes_at(batch: int, storage: Storage) -> StepBytes:
        return step_bytes(
            XSUM, storage, batch=batch, beams=8, source_tokens=512, target_tokens=33.5
        )

    found = bytes_at(1, Storage())
    assert (found.linear + found.head) / 1e6 == pytest.approx(667, abs=1)
    assert found.cross_cache == 2 * 16 * 512 * 1024 * 2
    assert found.self_cache == 8 * 33.5 * 2 * 16 * 1024 * 2
    assert found.total == found.linear + found.head + found.cross_cache + found.self_cache
    eight = bytes_at(8, Storage(linear=1))
    assert (2 * eight.linear, eight.head) == (found.linear, found.head)
    assert eight.cross_cache == 8 * found.cross_cache


def test_the_percentile_is_one_of_the_values() -> None:
    values = [float(x) for x in range(20, 0, -1)]
    assert percentile(values, 95) == 19.0
    assert percentile([3.0], 95) == 3.0
    assert percentile(values, 100) == 20.0


def test_tokens_agree_place_by_place_without_the_last() -> None:
    assert agreeing_tokens([[1, 2, 3], [4, 5, 6]], [[1, 9, 3], [4, 5, 0]]) == (3, 4)


def test_rows_are_per_document_and_per_step() -> None:
    rows = make_rows([inputs(OURS, 2, [0.020, 0.040, 0.030]), inputs(BASELINE, 2, [0.300])])
    ours, theirs = rows
    assert ours.document_ms == pytest.approx(15.0)
    assert ours.document_p95_ms == pytest.approx(20.0)
    assert ours.step_ms == pytest.approx(2.0)
    assert ours.bandwidth_percent == pytest.approx(100 * ours.step_bytes / 1e12 / 0.002)
    assert ours.baseline_x == pytest.approx(10.0)
    assert theirs.baseline_x == 1.0
    assert (ours.tokens_agreeing, ours.tokens_compared) == (1, 2)
    table = format_rows(rows, {"ctranslate2-float16": "no GPU"})
    assert "1 of 2" in table
    assert table.endswith("not measured: ctranslate2-float16: no GPU")


def test_the_goal_is_for_the_fastest_of_ours_in_fp16_at_batch_1() -> None:
    slow, fast = inputs(OURS, 1, [0.070]), inputs("pegasus-edge-ort-fp16", 1, [0.050])
    others = [inputs(BASELINE, 1, [0.3]), inputs("pegasus-edge-trt-rtx-int8", 1, [0.03])]
    verdicts = judge_rows(make_rows([slow, fast, *others]))
    assert [(round(x.got or 0, 3), x.met) for x in verdicts] == [(50.0, True), (6.0, False)]
    assert [x.met for x in judge_rows([])] == [None, None]


def test_an_engine_that_fails_is_missing_and_the_others_go_on(tmp_path: Path) -> None:
    settings = Settings(
        shape=XSUM,
        work=WORK,
        batches=(1, 2),
        engines=(ENGINES[OURS], REFERENCE),
        rounds=3,
        work_dir=tmp_path,
        reuse=False,
    )
    measured, requests = Measured(), plan_requests(settings)
    workers = {OURS: FakeEngine(0.5), "other": FakeEngine(1.0, fails_at=2)}
    measure_engines(workers, requests, measured, rounds=3)
    assert list(requests) == [(1, 12), (1, 2), (2, 12), (2, 2)]
    assert measured.missing == {"other": "out of memory"}
    assert measured.seconds == {OURS: {job: [0.5] * 3 for job in requests}}
    assert measured.tokens[OURS][2, 2] == [[7, 7], [7, 7]]


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_without_a_gpu_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: this benchmark needs an NVIDIA GPU, and ")
    assert error.count("\n") == 1


def test_a_summary_too_short_to_time_a_step_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--new-tokens", "2"], "--new-tokens is 2, expected over 2"),
        (["--rounds", "0"], "--rounds is 0, expected 1 or more"),
        (["--engines", "abacus"], "unknown engine 'abacus'"),
    ):
        with pytest.raises(SystemExit):
            main(options)
        assert message in capsys.readouterr().err


def test_engines_are_named_once_each() -> None:
    assert [x.name for x in parse_engines(f"{BASELINE}, {OURS},{BASELINE}")] == [BASELINE, OURS]
    with pytest.raises(argparse.ArgumentTypeError, match="no engine is named"):
        parse_engines(",")


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_engines_without_a_gpu_say_what_they_lack() -> None:
    reasons = {name: why_missing(engine) for name, engine in ENGINES.items()}
    assert "finds no CUDA GPU" in (reasons[BASELINE] or "")
    assert "onnxruntime" in (reasons["pegasus-edge-ort-fp16"] or "")
    assert "ctranslate2" in (reasons["ctranslate2-float16"] or "")
    missing_library = replace(ENGINES[OURS], target="trt")
    assert "tensorrt" in (why_missing(missing_library) or "tensorrt")


def test_plans_are_exported_for_the_sizes_that_are_measured(tmp_path: Path) -> None:
    sizes = PlanSizes(max_batch=8, beams=8, new_tokens=64)
    command = export_command(ENGINES[OURS], tmp_path / "in", tmp_path / "out", sizes)
    text = " ".join(map(str, command))
    assert "--target trt-rtx --precision fp16 --compute-capability current" in text
    assert text.endswith("--num-beams 8 --max-batch 8 --max-target-tokens 72")
    ort = export_command(ENGINES["pegasus-edge-ort-fp16"], tmp_path, tmp_path, sizes)
    assert list(ort[-4:]) == ["--target", "ort", "--precision", "fp16"]


def test_our_worker_gives_tokens_and_says_why_it_fails(
    tiny_bundle: Callable[[], Path], tmp_path: Path
) -> None:
    on_cpu = replace(ENGINES[OURS], compute_type="cpu")
    log = tmp_path / "ours.log"
    with WorkerProcess(
        "ours", worker_command(on_cpu, tiny_bundle()), log=log, reply_type=TokensReply
    ) as worker:
        reply = worker.generate(REQUEST)
        assert [len(tokens) for tokens in reply.tokens] == [6, 6]
        assert reply.seconds > 0
        assert {"pegasus-edge", "numpy"} <= set(worker.ready.versions)
        batches = replace(REQUEST, max_batch_size=2)
        with pytest.raises(WorkerError, match=r"^ours: ValueError: max_batch_size is 2"):
            worker.generate(batches)


def test_the_worker_of_transformers_gives_tokens(
    tiny_checkpoint: Callable[[], Path], tmp_path: Path
) -> None:
    command = [*worker_command(REFERENCE, tiny_checkpoint()), "--device", "cpu"]
    with WorkerProcess(
        "theirs", command, log=tmp_path / "theirs.log", reply_type=TokensReply
    ) as worker:
        assert [len(tokens) for tokens in worker.generate(REQUEST).tokens] == [6, 6]


def test_a_worker_that_ends_says_its_last_line(tmp_path: Path) -> None:
    script = f"import sys; print({READY!r}, flush=True); print('oh', file=sys.stderr); sys.exit(3)"
    command = [sys.executable, "-c", script]
    message = r"^fake: the worker ended with exit status 3: oh\n"
    with (
        WorkerProcess("fake", command, log=tmp_path / "log", reply_type=TokensReply) as worker,
        pytest.raises(WorkerError, match=message),
    ):
        worker.generate(REQUEST)


def test_summaries_of_another_length_are_an_error(tmp_path: Path) -> None:
    reply = json.dumps({"seconds": 1.0, "tokens": [[1] * 6, [1] * 5]})
    answer = f"for _ in sys.stdin: print({reply!r}, flush=True)"
    script = f"import sys; print({READY!r}, flush=True)\n{answer}"
    with (
        WorkerProcess(
            "fake", [sys.executable, "-c", script], log=tmp_path / "log", reply_type=TokensReply
        ) as worker,
        pytest.raises(WorkerError, match=r"fake: generated \[5, 6\] tokens for 2 documents"),
    ):
        worker.generate(REQUEST)
