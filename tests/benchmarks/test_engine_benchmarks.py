"""The parts of the benchmarks of engines that need no engine."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark_arguments import (
    SummaryWork,
    benchmark_parser,
    parse_numbers,
    settings_from_arguments,
)
from curve_panels import Curve, Panel, draw_panels
from engines_under_test import ENGINES, parse_engines, worker_command
from interleaved_rounds import Timings
from latency import Workload, latency_rows, plan_jobs, run, step_seconds
from memory import Footprint, target_figures
from random_documents import random_documents, random_lengths
from scaling import AXES, BASE, axis_points, parse_axes
from throughput import BATCH_SETTINGS, fastest_setting
from xsum_shape import XSUM, PegasusShape, checkpoint_name

OURS, PEER = "pegasus-edge-int8", "ctranslate2-int8"
WORKLOAD = Workload(
    summary=SummaryWork(source_tokens=12, new_tokens=12, beams=2),
    batches=(1, 8),
    batched_engines=(ENGINES[OURS],),
)


def test_a_step_is_the_difference_between_two_summaries() -> None:
    step_s, before_steps_s = step_seconds(long_s=7.2, short_s=1.0, new_tokens=64)
    assert step_s == pytest.approx(0.1)
    assert before_steps_s == pytest.approx(0.9)


def test_only_batched_engines_get_batches() -> None:
    parser = benchmark_parser("What?\n\nDetails.", engines=f"{OURS},{PEER}", rounds=3)
    jobs = plan_jobs(settings_from_arguments(parser.parse_args([])), WORKLOAD)
    assert [(job.name, list(job.engines), len(job.request.sources)) for job in jobs] == [
        ("batch 1, 12 tokens", [OURS, PEER], 1),
        ("batch 1, 2 tokens", [OURS, PEER], 1),
        ("batch 8, 12 tokens", [OURS], 8),
        ("batch 8, 2 tokens", [OURS], 8),
    ]


def test_ratios_are_over_each_engine_of_ours() -> None:
    timings = Timings(
        seconds={
            "batch 1, 12 tokens": {OURS: [2.0, 1.0, 3.0], PEER: [4.0, 6.0, 5.0]},
            "batch 1, 2 tokens": {OURS: [1.0], PEER: [1.0]},
        }
    )
    ours, peer = latency_rows(timings, WORKLOAD)
    assert (ours.engine, ours.total_s, ours.ratios) == (OURS, 2.0, {OURS: 1.0})
    assert (peer.engine, peer.total_s, peer.ratios) == (PEER, 5.0, {OURS: 2.5})
    assert (peer.fastest_s, peer.slowest_s) == (4.0, 6.0)
    assert peer.step_s == pytest.approx(0.4)


def test_a_summary_too_short_to_time_a_step_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--new-tokens", "2"])
    assert "--new-tokens is 2, expected over 2" in capsys.readouterr().err


def test_the_fastest_batch_setting_wins() -> None:
    seconds = [5.0, 3.0, 4.0]
    measured = list(zip(BATCH_SETTINGS[:3], seconds, strict=True))
    assert fastest_setting(measured) == BATCH_SETTINGS[1]
    assert str(BATCH_SETTINGS[1]) == "batches of 2 examples, all threads on one"


def test_every_axis_goes_through_the_base() -> None:
    points = axis_points(AXES)
    assert set(points) == set(AXES)
    assert all(BASE in row for row in points.values())
    assert points["beams"][0] == replace(BASE, beams=1)


def test_an_unknown_axis_is_refused() -> None:
    assert parse_axes("batch,beams") == ("batch", "beams")
    with pytest.raises(argparse.ArgumentTypeError, match="unknown axis 'depth', expected some of"):
        parse_axes("beams,depth")


def test_memory_is_compared_with_the_peers_and_unmeasured_without_them() -> None:
    ours = Footprint(disk_bytes=600_000_000, load_s=[0.7, 0.9, 0.8], peak_bytes=110)
    peer = Footprint(disk_bytes=1, load_s=[1.0], peak_bytes=100)
    assert list(target_figures({OURS: ours, PEER: peer}).values()) == [600.0, 0.8, 1.1]
    assert list(target_figures({PEER: peer}).values()) == [None, None, None]


def test_documents_are_seeded_have_their_lengths_and_end_in_eos() -> None:
    lengths = random_lengths(50, shortest=10, longest=20, seed=3)
    documents = random_documents(lengths, vocabulary=2000, seed=3)
    assert documents == random_documents(lengths, vocabulary=2000, seed=3)
    assert [len(document) for document in documents] == lengths
    assert set(lengths) == set(range(10, 21))
    assert all(document[-1] == 1 and min(document[:-1]) >= 107 for document in documents)


def test_engines_are_named_once_each() -> None:
    assert [engine.name for engine in parse_engines(f"{PEER}, {OURS},{PEER}")] == [PEER, OURS]
    with pytest.raises(argparse.ArgumentTypeError, match="unknown engine 'abacus'"):
        parse_engines("abacus")
    with pytest.raises(argparse.ArgumentTypeError, match="no engine is named"):
        parse_engines(",")


def test_only_ctranslate2_runs_batches_in_parallel(tmp_path: Path) -> None:
    command = worker_command(ENGINES[PEER], tmp_path, threads=1, parallel_batches=2)
    assert list(command[-4:]) == ["--compute-type", "int8", "--parallel-batches", "2"]
    with pytest.raises(ValueError, match="pegasus-edge-int8 runs one batch at a time, not 2"):
        worker_command(ENGINES[OURS], tmp_path, threads=1, parallel_batches=2)


def test_numbers_come_ascending() -> None:
    assert parse_numbers("8,1,8") == (1, 8)
    with pytest.raises(argparse.ArgumentTypeError, match="'1,x' is no list of numbers"):
        parse_numbers("1,x")
    with pytest.raises(argparse.ArgumentTypeError, match="0 is not 1 or more"):
        parse_numbers("0,1")


def test_a_benchmark_without_rounds_is_refused() -> None:
    parser = benchmark_parser("What?\n\nDetails.", engines=OURS, rounds=3)
    with pytest.raises(SystemExit, match="--rounds is 0, expected 1 or more"):
        settings_from_arguments(parser.parse_args(["--rounds", "0"]))


@pytest.mark.parametrize(
    ("options", "work"),
    [
        (["--layers", "2"], SummaryWork()),
        (["--threads", "4"], SummaryWork()),
        ([], SummaryWork(new_tokens=32)),
    ],
)
def test_targets_are_for_the_published_setting_only(options: list[str], work: SummaryWork) -> None:
    parser = benchmark_parser("What?\n\nDetails.", engines=OURS, rounds=3)
    assert settings_from_arguments(parser.parse_args([])).targets_apply(SummaryWork())
    assert not settings_from_arguments(parser.parse_args(options)).targets_apply(work)


def test_checkpoints_of_different_shapes_have_different_names() -> None:
    small = replace(XSUM, encoder_layers=2, decoder_layers=2)
    shapes = [XSUM, replace(XSUM, positions=1024), small, replace(small, positions=1024)]
    names = [checkpoint_name(shape) for shape in shapes]
    assert names[:2] == ["xsum-shape", "xsum-shape-1024-positions"]
    assert len(set(names)) == 4


def test_a_shape_without_positions_is_refused() -> None:
    with pytest.raises(ValueError, match="positions is 1, expected 2 or more"):
        PegasusShape(positions=1)


def test_curves_are_drawn(tmp_path: Path) -> None:
    curves = [Curve(label="ours", values=[1.0, 1.5]), Curve(label="peer", values=[2.0, 4.0])]
    panel = Panel(x_label="beams", x_values=[1, 8], curves=curves)
    path = tmp_path / "plots" / "scaling.png"
    draw_panels(path, [panel] * 3, title="time")
    assert path.read_bytes().startswith(b"\x89PNG")
