"""Engines on CPUs: what runs in them, and with which instructions."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import latency
import memory
from harness import bench
from harness.engines import ENGINES, USUAL_ON_CPU
from harness.instructions import INSTRUCTIONS, NOT_HELD
from harness.prepare import PlanSizes, made_from, make_command
from harness.protocol import Ready, Request
from harness.rounds import Timings
from harness.shapes import XSUM, write_checkpoint
from harness.worker_process import WorkerProcess
from harness.workers import openvino_worker
from peers import PEERS

OURS, STOCK = "pegasus-edge-int8", "pegasus-edge-int8-stock-operators"
READY = Ready(import_s=0.1, load_s=0.1, peak_rss_bytes=1, versions={})
WITH_KERNELS = "ONNX Runtime 1.31.1, kernels 0.1.0 (avx512)"
WITHOUT = "ONNX Runtime 1.31.1, stock operators (PEGASUS_EDGE_KERNELS=0)"


def parse(*options: str) -> bench.Settings:
    parser = bench.make_parser("What?\n\nDetails.")
    bench.add_engine_arguments(parser, engines=USUAL_ON_CPU, rounds=3)
    return bench.settings_from_arguments(parser, parser.parse_args(options))


def measured_with(timings: Timings) -> latency.Measured:
    return latency.Measured(
        settings=parse(), batches=(1,), timings=timings, expected={}, bytes_per_s=1e10
    )


def test_stock_operators_are_those_of_the_same_bundle(tmp_path: Path) -> None:
    ours, stock = ENGINES["cpu"][OURS], ENGINES["cpu"][STOCK]
    assert stock.title == "pegasus-edge int8, stock operators"
    assert stock.environment == {"PEGASUS_EDGE_KERNELS": "0"}
    tiny = replace(XSUM, encoder_layers=1, decoder_layers=1, d_model=32, ffn_dim=64, heads=2)
    checkpoint = write_checkpoint(tmp_path, replace(tiny, vocabulary=200))
    marks = {made_from(each, checkpoint, PlanSizes()) for each in (ours, stock)}
    assert len(marks) == 1


def test_instructions_are_given_to_every_worker_beside_its_own_variables() -> None:
    held = parse("--instructions", "avx2")
    assert held.instructions == "avx2"
    for engine in held.engines:
        assert INSTRUCTIONS["avx2"].items() <= engine.environment.items()
    (stock,) = (each for each in held.engines if each.name == STOCK)
    assert stock.environment["PEGASUS_EDGE_KERNELS"] == "0"
    assert parse().instructions is None
    assert parse().engines[0].environment == {}


def test_a_worker_has_the_variables_of_its_engine(tmp_path: Path) -> None:
    script = (
        "import json, os; print(json.dumps(dict(import_s=0, load_s=0, peak_rss_bytes=0,"
        " versions={}, engine=os.environ['WHAT_RUNS'])))"
    )
    command = [sys.executable, "-c", script]
    environment = {"WHAT_RUNS": WITHOUT}
    with WorkerProcess("fake", command, log=tmp_path / "log", environment=environment) as worker:
        assert worker.ready.engine == WITHOUT


def test_a_report_notes_what_ran_and_what_it_was_held_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timings = Timings(workers={OURS: replace(READY, engine=WITH_KERNELS), "peer": READY})
    parser = bench.make_parser("What?\n\nDetails.")
    arguments = parser.parse_args(["--json", str(tmp_path / "report.json")])
    bench.report(arguments, {}, settings=parse("--instructions", "avx2"), timings=timings)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["notes"] == [
        f"{OURS}: {WITH_KERNELS}",
        f"libraries held to AVX2; {NOT_HELD}",
    ]
    assert report["settings"]["instructions"] == "avx2"
    capsys.readouterr()


def test_kernels_keep_the_source_as_halves_and_a_step_reads_that() -> None:
    engines = ENGINES["cpu"]
    workers = {OURS: replace(READY, engine=WITH_KERNELS), STOCK: replace(READY, engine=WITHOUT)}
    workers["pegasus-edge-fp32"] = replace(READY, engine=WITH_KERNELS)
    measured = measured_with(Timings(workers=workers))
    halves, floats = (measured.must_read(engines[name], 1) for name in (OURS, STOCK))
    assert halves is not None
    assert floats is not None
    saved = 2 * XSUM.decoder_layers * XSUM.d_model * 512 * 2  # keys and values, two bytes each
    assert floats - halves == saved
    for name in ("pegasus-edge-fp32", "ctranslate2-int8"):
        assert measured.storage(engines[name]) == engines[name].storage


def test_openvino_has_no_share_of_bandwidth_as_it_chooses_how_it_stores() -> None:
    job = "batch 1, {} tokens"
    seconds = {job.format(64): {"openvino-int8": [3.0]}, job.format(2): {"openvino-int8": [1.0]}}
    timings = Timings(seconds=seconds, tokens={job.format(64): {"openvino-int8": [[1]]}})
    table = latency.make_tables(measured_with(timings))["detail"]
    row = "batch 1, OpenVINO int8"
    assert table.cell(row, "must read") is None
    assert table.cell(row, "of bandwidth") is None
    assert table.cell(row, "per step") == pytest.approx(2000 / 62)


def test_openvino_s_export_is_its_own_environment_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.prepare.ensure_peer", PEERS.__getitem__)
    sizes = PlanSizes()
    command = make_command(ENGINES["cpu"]["openvino-int8"], tmp_path, tmp_path / "out", sizes)
    assert command[0] == PEERS["openvino"].bin / "optimum-cli"
    assert command[-3:] == ["--weight-format", "int8", tmp_path / "out"]


def test_openvino_is_not_run_with_instructions_that_it_cannot_be_held_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    with pytest.raises(SystemExit, match="cannot be held to older instructions"):
        openvino_worker.import_engine()


def test_openvino_s_environment_is_complete_and_reports_nothing() -> None:
    peer = PEERS["openvino"]
    names = {line.partition("==")[0] for line in peer.constraints.read_text().splitlines()}
    assert {"openvino", "optimum-intel", "nncf", "torch", "transformers"} <= names
    assert "openvino-telemetry" not in names
    assert not peer.with_dependencies


def test_memory_of_eight_documents_is_of_eight() -> None:
    one = Request(sources=[[5, 1]], beams=2, new_tokens=4)
    assert memory.eight_of(one) == replace(one, sources=[[5, 1]] * 8)
