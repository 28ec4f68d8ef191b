"""The parts of the benchmarks that need no engine, and each question at a tiny shape."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import block_sparse
import export_cost
import latency
import long_chunks
import long_documents
import memory
import outliers
import precision_quality
import scaling
import streaming
import throughput
import weight_formats
from export_cost import Cost, count_parameters, ort_table, plan_table
from exporter.tiny_checkpoint import tiny_sentences
from harness import bench
from harness.engines import ENGINES, find_engines, worker_command
from harness.measure_command import Measurement
from harness.prepare import PlanSizes, make_command
from harness.protocol import Ready, Reply
from harness.rounds import Timings
from harness.shapes import (
    BIGBIRD,
    XSUM,
    checkpoint_name,
    random_documents,
    random_lengths,
    shape_from_arguments,
    write_checkpoint,
)
from harness.step_bytes import Storage, step_bytes
from harness.table import Table, ratio
from harness.workers import read_weights
from pegasus_export.checkpoint.formats.read import read_weight_file
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.native.gpu import current_capability

OURS, PEER = "pegasus-edge-int8", "ctranslate2-int8"
WORK = bench.SummaryWork(source_tokens=12, new_tokens=12, beams=2)
LONG, SHORT = "batch 1, 12 tokens", "batch 1, 2 tokens"
ON_GPU = "pegasus-edge-trt-rtx-fp16"


def settings_of(*engines: str, device: str = "cpu") -> bench.Settings:
    return bench.Settings(
        shape=XSUM,
        device=device,
        engines=find_engines(",".join(engines), ENGINES[device]),
        threads=2,
        rounds=3,
        work_dir=Path("build"),
        work=WORK,
    )


def measured_of(
    timings: Timings, *engines: str, device: str = "cpu", batches: tuple[int, ...] = (1,)
) -> latency.Measured:
    return latency.Measured(
        settings=settings_of(*engines, device=device),
        batches=batches,
        timings=timings,
        expected={LONG: [[5, 7, 2]]},
        bytes_per_s=1e12,
    )


def parse(*options: str, engines: str = OURS) -> bench.Settings:
    parser = bench.make_parser("What?\n\nDetails.")
    bench.add_engine_arguments(parser, engines=engines, rounds=3, on_gpu=True)
    return bench.settings_from_arguments(parser, parser.parse_args(options))


def test_only_engines_that_batch_get_batches_on_cpus() -> None:
    jobs = latency.plan_jobs(settings_of(OURS, "transformers-fp32"), (1, 8))
    assert [(job.name, list(job.engines), len(job.request.sources)) for job in jobs] == [
        (LONG, [OURS, "transformers-fp32"], 1),
        (SHORT, [OURS, "transformers-fp32"], 1),
        ("batch 8, 12 tokens", [OURS], 8),
        ("batch 8, 2 tokens", [OURS], 8),
    ]
    on_gpu = settings_of(ON_GPU, "transformers-fp16", device="cuda")
    assert len(latency.plan_jobs(on_gpu, (8,))[0].engines) == 2


def test_latency_has_medians_steps_ratios_bandwidth_and_agreeing_tokens() -> None:
    timings = Timings(
        seconds={
            LONG: {OURS: [2.0, 1.0, 3.0], PEER: [4.0, 6.0, 5.0]},
            SHORT: {OURS: [1.0], PEER: [1.0]},
        },
        tokens={LONG: {OURS: [[5, 6, 1]], PEER: [[5, 7, 1]]}},
    )
    tables = latency.make_tables(measured_of(timings, OURS, PEER, "pegasus-edge-fp32"))
    main, detail = tables["latency"], tables["detail"]
    assert [row[0] for row in main.rows] == ["pegasus-edge int8", "CTranslate2 int8"]
    assert main.cell("CTranslate2 int8", "batch 1") == 5.0
    assert main.cell("CTranslate2 int8", "x ours") == 2.5
    assert main.cell("pegasus-edge int8", "x ours") == 1.0
    assert main.cell("CTranslate2 int8", "per step") == pytest.approx(400)
    row = "batch 1, pegasus-edge int8"
    assert detail.cell(row, "95th percentile") == 3000
    assert detail.cell(row, "encoder and first step") == pytest.approx(900)
    assert detail.cell(row, "tokens agree") == "1 of 2"
    must_read = detail.cell(row, "must read")
    assert isinstance(must_read, float)
    assert detail.cell(row, "of bandwidth") == pytest.approx(100 * must_read / 1e6 / 0.1)


def test_a_gpus_engines_are_compared_with_the_fastest_of_ours_of_their_kind() -> None:
    seconds = {ON_GPU: [0.07], "pegasus-edge-ort-fp16": [0.05], "pegasus-edge-trt-rtx-int8": [0.03]}
    seconds["transformers-bf16"] = [0.3]
    timings = Timings(seconds={LONG: seconds})
    timings.tokens = {LONG: {name: [[5, 7, 1]] for name in seconds}}
    table = latency.make_tables(measured_of(timings, *seconds, device="cuda"))["latency"]
    assert table.cell("transformers bf16", "x ours") == pytest.approx(6)
    assert table.cell("pegasus-edge trt-rtx int8", "x ours") == 1
    assert table.shown("transformers bf16", "batch 1") == "0.3000 s"


def test_a_step_of_xsum_reads_667_megabytes_of_weights_in_fp16() -> None:
    def bytes_at(batch: int, storage: Storage) -> float:
        return step_bytes(
            XSUM, storage, batch=batch, beams=8, source_tokens=512, target_tokens=33.5
        )

    caches = 2 * 16 * 512 * 1024 * 2 + 8 * 33.5 * 2 * 16 * 1024 * 2
    weights = bytes_at(1, Storage()) - caches
    assert weights / 1e6 == pytest.approx(667, abs=1)
    assert bytes_at(8, Storage()) == pytest.approx(weights + 8 * caches)
    head = XSUM.vocabulary * XSUM.d_model * 2
    eight_bits = bytes_at(1, Storage(linear=1)) - caches - head
    assert 2 * eight_bits == pytest.approx(weights - head)


def test_the_percentile_is_one_of_the_values() -> None:
    values = [float(x) for x in range(20, 0, -1)]
    assert latency.percentile(values, 95) == 19.0
    assert latency.percentile([3.0], 95) == 3.0
    assert latency.percentile(values, 100) == 20.0


def test_tokens_agree_place_by_place_without_the_last() -> None:
    assert latency.agreeing_tokens([[1, 2, 3], [4, 5, 6]], [[1, 9, 3], [4, 5, 0]]) == (3, 4)


def test_a_ratio_above_1_means_that_ours_is_better() -> None:
    assert ratio(3.0, 1.5) == 2.0
    assert ratio(None, 1.5) is None
    assert ratio(3.0, None) is None


def test_the_fastest_batch_setting_wins_and_is_marked() -> None:
    seconds = [5.0, 3.0, 4.0]
    settings = throughput.BATCH_SETTINGS[:3]
    measured = list(zip(settings, seconds, strict=True))
    assert throughput.fastest_setting(measured) == settings[1]
    name = "batches of 2 examples, all threads on one"
    assert str(settings[1]) == name
    request = latency.plan_jobs(settings_of(OURS), (4,))[0].request
    timings = Timings(seconds={"all documents": {OURS: [8.0], PEER: [12.0]}})
    engines = settings_of(OURS, PEER).engines
    tables = throughput.make_tables(engines, timings, request, measured)
    assert tables["tuning"].cell(name, "which") == "best"
    row = "CTranslate2 int8, at the best of 3 batch settings"
    assert tables["throughput"].cell(row, "x ours") == 1.5


def test_every_axis_goes_through_the_base() -> None:
    points = scaling.axis_points(scaling.AXES)
    assert set(points) == set(scaling.AXES)
    assert all(scaling.BASE in row for row in points.values())
    assert points["beams"][0] == replace(scaling.BASE, beams=1)
    jobs = scaling.plan_jobs(settings_of(OURS), points)
    assert len({job.name for job in jobs}) == len(jobs) == 5 + 3 + 3 + 4


def test_an_unknown_name_is_refused() -> None:
    parse_axes = bench.names_of(scaling.AXES)
    assert parse_axes("batch,beams,batch") == ("batch", "beams")
    with pytest.raises(argparse.ArgumentTypeError, match="'depth' is none of beams, source_tok"):
        parse_axes("beams,depth")


def test_memory_is_a_median_of_loads_and_a_peak() -> None:
    ready = Ready(import_s=0.1, load_s=0.7, peak_rss_bytes=5_000_000, versions={})
    starts = [replace(ready, load_s=x) for x in (0.7, 0.9, 0.8)]
    reply = Reply(seconds=1.0, tokens=[], peak_rss_bytes=110_000_000, file_bytes=4_000_000)
    ours = memory.Footprint(disk_bytes=600_000_000, starts=starts, reply=reply)
    assert memory.make_table({OURS: ours}).rows[0][4] is None  # as some peers take one document
    ours.batch_peak_bytes = 190_000_000
    table = memory.make_table({OURS: ours})
    assert table.rows == (("pegasus-edge int8", 600.0, 0.8, 110.0, 190.0, 4.0, 5.0, 0.1),)


def test_full_attention_stops_at_its_longest_and_peaks_are_those_of_the_warm_up() -> None:
    full = "pegasus-edge-int8-full-attention"
    engines = (long_documents.LINEUP[OURS], long_documents.LINEUP[full])
    settings = replace(settings_of(OURS), engines=engines)
    jobs = long_documents.plan_jobs(settings, (512, 8192), 4096)
    assert [list(job.engines) for job in jobs] == [[OURS, full], [OURS]]
    assert [(len(job.request.sources[0]), job.request.new_tokens) for job in jobs][1] == (8192, 0)
    timings = Timings(seconds={"512": {OURS: [1.0], full: [2.0]}, "8192": {OURS: [9.0]}})
    timings.warm_peaks = {"512": {OURS: 2**20, full: 2**21}, "8192": {OURS: 2**22}}
    tables = long_documents.make_tables(engines, (512, 8192), timings)
    assert tables["time"].rows == (("512", 1.0, 2.0), ("8,192", 9.0, None))
    assert tables["memory"].rows == (("512", 1.0, 2.0), ("8,192", 4.0, None))
    titles = [column.title for column in tables["time"].columns]
    assert titles[1:] == ["pegasus-edge int8", "pegasus-edge int8, full attention"]


def test_exports_are_told_in_times_of_the_weights() -> None:
    export = Measurement(wall_s=1.25, peak_rss_bytes=350)
    cost = Cost(name="ours", weights_bytes=100, export=export, disk_bytes=108)
    assert ort_table([cost]).cell("ours", "x the checkpoint") == 3.5
    built = replace(cost, build=replace(export, peak_rss_bytes=300))
    failed = Cost(name="int4", weights_bytes=100, error="no")
    table = plan_table([built, failed])
    assert table.cell("ours", "memory beyond the weights") == 2.5
    assert table.cell("ours", "build, memory beyond the weights") == 2.0
    assert table.cell("ours", "x the weights") == 1.08
    assert table.cell("int4", "build") is None


def test_parameters_are_counted_from_the_header(tmp_path: Path) -> None:
    save_file(
        {"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)}, tmp_path / "weights"
    )
    assert count_parameters(tmp_path / "weights") == 17


def test_changes_of_summaries_are_to_transformers_and_a_failure_has_no_row() -> None:
    scores = {"rouge1": 90.0, "rouge2": 80.0, "rougeL": 85.0, "exact": 50.0, "facts": 99.0}
    theirs = precision_quality.Quality(name="mini, transformers fp32", scores=scores)
    worse = {**scores, "rouge2": 79.8}
    ours = replace(theirs, name="mini, ort int8", scores=worse, tokens_changed=2, bundle_bytes=10)
    failed = precision_quality.Quality(name="mini, ort int4", error="no")
    table = precision_quality.make_table([theirs, ours, failed], 10, 100)
    assert table.shown("mini, ort int8", "ROUGE-2, change") == "-0.20"
    assert table.cell("mini, ort int8", "of all tokens") == 2.0
    assert table.cell("mini, transformers fp32", "tokens changed") is None
    assert len(table.rows) == 2


def test_documents_are_seeded_have_their_lengths_and_end_in_eos() -> None:
    lengths = random_lengths(50, shortest=10, longest=20, seed=3)
    documents = random_documents(lengths, vocabulary=2000, seed=3)
    assert documents == random_documents(lengths, vocabulary=2000, seed=3)
    assert [len(document) for document in documents] == lengths
    assert set(lengths) == set(range(10, 21))
    assert all(document[-1] == 1 and min(document[:-1]) >= 107 for document in documents)


def test_engines_are_named_once_each() -> None:
    found = find_engines(f"{PEER}, {OURS},{PEER}", ENGINES["cpu"])
    assert [engine.name for engine in found] == [PEER, OURS]
    with pytest.raises(argparse.ArgumentTypeError, match="unknown engine 'abacus': there are peg"):
        find_engines("abacus", ENGINES["cpu"])
    with pytest.raises(argparse.ArgumentTypeError, match="no engine is named"):
        find_engines(",", ENGINES["cpu"])


def test_only_ctranslate2_runs_batches_in_parallel(tmp_path: Path) -> None:
    engines = ENGINES["cpu"]
    command = worker_command(engines[PEER], tmp_path, threads=1, parallel_batches=2)
    asked = json.loads(str(command[-1]))
    assert (asked["compute_type"], asked["parallel_batches"]) == ("int8", 2)
    with pytest.raises(ValueError, match="pegasus-edge-int8 runs one batch at a time, not 2"):
        worker_command(engines[OURS], tmp_path, threads=1, parallel_batches=2)


def test_plans_are_exported_for_the_sizes_that_are_measured(tmp_path: Path) -> None:
    sizes = PlanSizes(max_batch=8, beams=8, new_tokens=64)

    def command(device: str, name: str) -> str:
        made = make_command(ENGINES[device][name], tmp_path / "in", tmp_path / "out", sizes)
        return " ".join(map(str, made))

    plans = command("cuda", ON_GPU)
    assert "--target trt-rtx --precision fp16 --compute-capability current" in plans
    assert plans.endswith("--num-beams 8 --max-batch 8 --max-target-tokens 72")
    assert command("cuda", "pegasus-edge-ort-fp16").endswith("--target ort --precision fp16")
    assert command("cpu", PEER).endswith(" int8")
    assert command("cuda", "ctranslate2-int8_float16").endswith(" float32")


def test_numbers_come_ascending() -> None:
    assert bench.parse_numbers("8,1,8") == (1, 8)
    with pytest.raises(argparse.ArgumentTypeError, match="'1,x' is no list of numbers"):
        bench.parse_numbers("1,x")
    with pytest.raises(argparse.ArgumentTypeError, match="0 is not 1 or more"):
        bench.parse_numbers("0,1")


def test_options_come_to_settings() -> None:
    assert (parse().shape, parse().threads, parse().rounds) == (XSUM, 2, 3)
    assert parse("--device", "cuda", "--engines", ON_GPU).threads == 0
    small = parse("--layers", "2", "--d-model", "128").shape
    assert (small.decoder_layers, small.heads, small.ffn_dim) == (2, 2, 512)


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        (latency.run, ["--new-tokens", "2"], "--new-tokens is 2, expected over 2"),
        (latency.run, ["--rounds", "0"], "--rounds is 0, expected 1 or more"),
        (latency.run, ["--threads", "0"], "--threads is 0, expected 1 or more"),
        (latency.run, ["--engines", "abacus"], "--engines: unknown engine 'abacus'"),
        (throughput.run, ["--engines", OURS], "--engines: expected pegasus-edge-…, one or more"),
        (export_cost.run, ["--precisions", "fp16,fp4"], "'fp4' is none of fp16, int8, int4"),
        (
            precision_quality.run,
            ["--precisions", "fp64"],
            "'fp64' is none of fp32",
        ),
        (
            precision_quality.run,
            ["--checkpoints", "tiny"],
            "'tiny' is none of",
        ),
        (precision_quality.run, ["--documents", "0"], "--documents is 0, expected 1 to "),
        (precision_quality.run, ["--provider", "tensorrt"], "of target ort have no plans"),
        (streaming.run, ["--documents", "0"], "--documents is 0, expected 1 to "),
        (long_chunks.run, ["--documents", "0"], "--documents is 0, expected 1 to "),
        (block_sparse.run, ["--rounds", "0"], "--rounds is 0, expected 1 or more"),
        (block_sparse.run, ["--harness", "x"], "--harness and --library belong together"),
        (block_sparse.run, ["--library", "x"], "--harness and --library belong together"),
        (block_sparse.run, ["--tokens", "many"], "'many' is no list of numbers"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run: Callable[[Sequence[str] | None], None],
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(options)
    assert message in capsys.readouterr().err


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
@pytest.mark.parametrize(
    ("run", "options", "otherwise"),
    [
        (latency.run, ["--device", "cuda"], "that has one"),
        (precision_quality.run, ["--target", "trt-rtx"], "or pass --provider cpu"),
        (block_sparse.run, [], "; --interpret checks the kernels without one"),
    ],
)
def test_without_a_gpu_there_is_one_clear_line(
    run: Callable[[Sequence[str] | None], None],
    options: list[str],
    otherwise: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.run_script(run, options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: this benchmark needs an NVIDIA GPU, and ")
    assert error.endswith(f"{otherwise}\n")
    assert error.count("\n") == 1


def test_checkpoints_of_different_shapes_have_different_names() -> None:
    small = replace(XSUM, encoder_layers=2, decoder_layers=2)
    shapes = [XSUM, replace(XSUM, positions=1024), BIGBIRD, small, replace(small, positions=1024)]
    names = [checkpoint_name(shape) for shape in shapes]
    assert names[:3] == ["xsum-shape", "xsum-shape-1024-positions", "bigbird-shape"]
    assert len(set(names)) == 5


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"positions": 1}, "positions is 1, expected 2 or more"),
        ({"d_model": 100}, "d_model 100 is not a multiple of 16 heads"),
        ({"vocabulary": 107}, "vocabulary is 107, expected more than 107"),
    ],
)
def test_an_impossible_shape_is_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(XSUM, **sizes)  # type: ignore[arg-type]


TINY = ["--layers", "1", "--d-model", "64", "--vocabulary", "400"]


def run_tiny(
    run: Callable[[Sequence[str] | None], None], tmp_path: Path, *options: str
) -> dict[str, Table]:
    """The tables of a script's report."""
    path = tmp_path / "report.json"
    assert bench.run_script(run, [*options, "--work-dir", str(tmp_path), "--json", str(path)]) == 0
    report = json.loads(path.read_text("utf-8"))
    assert {"question", "made", "machine", "missing"} <= set(report)
    assert report["missing"] == {}
    return {name: Table.from_json(content) for name, content in report["tables"].items()}


def test_latency_of_a_tiny_shape_goes_from_checkpoint_to_table(tmp_path: Path) -> None:
    work = ["--source-tokens", "12", "--new-tokens", "4", "--beams", "2", "--batch", "1"]
    engines = ["--engines", "pegasus-edge-fp32,transformers-fp32", "--rounds", "1"]
    tables = run_tiny(latency.run, tmp_path, *TINY, *work, *engines)
    row = "batch 1, pegasus-edge fp32"
    assert tables["detail"].cell(row, "tokens agree") == "3 of 3"


def test_plans_of_a_tiny_shape_are_exported_built_and_deleted(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    where = ["--what", "plans", "--shapes", "xsum", "--compute-capability", "8.9"]
    tables = run_tiny(export_cost.run, tmp_path, *TINY, "--positions", "64", *where)
    table = tables["plan_cost"]
    size, weights = (
        table.cell("xsum fp16", title) for title in ("plans and token table", "fp16 weights")
    )
    assert isinstance(size, float)
    assert isinstance(weights, float)
    assert size > weights > 0
    assert not list(tmp_path.glob("*-plans")) + list(tmp_path.glob("*-graphs"))


def test_every_format_of_the_weights_holds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    shape = replace(XSUM, encoder_layers=1, decoder_layers=1, d_model=32, ffn_dim=64, heads=2)
    files = weight_formats.write_formats(write_checkpoint(tmp_path, shape))
    expected = read_weight_file(*files["model.safetensors"])
    sums = set()
    for path, kind in files.values():
        got = read_weight_file(path, kind)
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[each], tensor) for each, tensor in expected.items())
        monkeypatch.setattr(sys, "argv", ["read_weights.py", str(path), kind])
        read_weights.main()
        sums.add(capsys.readouterr().out)
    assert len(files) == 4
    assert len(sums) == 1


def test_fp32_graphs_have_transformers_tokens_on_the_cpu(tmp_path: Path) -> None:
    what = ["--target", "trt-rtx", "--provider", "cpu", "--precisions", "fp32"]
    documents = ["--checkpoints", "pegasus-mini", "--documents", "1"]
    table = run_tiny(precision_quality.run, tmp_path, *what, *documents)["pegasus-mini"]
    row = "pegasus-mini, trt-rtx fp32"
    assert table.cell(row, "tokens changed") == 0
    assert table.cell(row, "ROUGE-L, change") == 0


def test_int8_holds_on_large_activations_and_equalisation_changes_no_bit(tmp_path: Path) -> None:
    what = ["--checkpoints", "pegasus-mini", "--factors", "1000", "--skip-ctranslate2"]
    size = ["--precisions", "int8", "--documents", "8", "--equalised", "8"]
    tables = run_tiny(outliers.run, tmp_path, *what, *size)
    row, checkpoint = "pegasus-mini int8", "pegasus-mini"
    for title in ("alone", "in batches", "batch = alone", "ROUGE-L alone"):
        assert tables["outliers"].cell(row, title) == 100
    assert int(str(tables["equalised"].cell(checkpoint, "channels with a factor"))) >= 4
    assert int(str(tables["equalised"].cell(checkpoint, "largest, as 2^"))) >= 4
    assert tables["equalised"].cell(checkpoint, "other tokens") == 0
    assert tables["equalised"].cell(checkpoint, "other scores") == 0


def test_the_shape_of_the_options_is_the_published_one_but_for_what_they_say() -> None:
    parser = bench.make_parser("What?\n\nDetails.")
    bench.add_engine_arguments(parser, engines=OURS, rounds=1)
    assert shape_from_arguments(parser.parse_args([]), BIGBIRD) == BIGBIRD


def test_a_stream_and_the_rules_for_it_come_to_tables(tiny_bundle: Callable[..., Path]) -> None:
    text = tiny_sentences()[3]
    with Summarizer.load(tiny_bundle(), threads=1) as summarizer:
        told = [
            streaming.follow_stream(
                summarizer, text, GenerationOptions(num_beams=1), is_first=is_first
            )
            for is_first in (True, False)
        ]
        rules = streaming.make_rules_table([streaming.follow_rules(summarizer, text)])
    assert streaming.make_row("1 beam", told)[:4] == ("1 beam", 2, 0, 0)
    assert all(0 < each.at_half_steps <= 1 for each in told)
    assert all(0 < each.first < 1 for each in told)
    certain = list(streaming.RULES)[:3]
    assert [rules.cell(name, "taken back") for name in certain] == [0, 0, 0]
    shares = [rules.cell(name, "mean") for name in (*certain, "the best 1 running")]
    assert shares == sorted(shares)  # type: ignore[type-var]


def test_what_a_summary_states_is_read_back_and_held_against_its_report() -> None:
    report = long_chunks.generate_long_report(long_chunks.HELD_OUT_SEEDS[0])
    found = long_chunks.score(report, report.summary.replace("\n", "<n>"))
    count = len(report.facts)
    assert found == long_chunks.Scored(carried=1.0, stated=count, right=count)
    name, value = report.facts[0]
    wrong = long_chunks.score(report, report.summary.replace(value, "Nowhere"))
    assert (wrong.stated, wrong.right) == (count, count - 1), name
    assert wrong.carried == pytest.approx((count - 1) / count)
    twice = long_chunks.score(report, f"{report.summary} Voters stayed at home. {report.summary}")
    assert (twice.stated, twice.right) == (2 * count, 2 * count)
