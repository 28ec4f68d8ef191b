"""The benchmark of block-sparse attention: what needs no GPU."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu import event_timing
from gpu.attention_check import (
    TOLERANCES,
    CheckResult,
    check_kernels,
    format_checks,
    gpu_cases,
    tiny_cases,
)
from gpu.attention_engines import (
    DENSE,
    ENGINES,
    OURS,
    TRANSFORMERS,
    MissingEngineError,
    random_inputs,
)
from gpu.attention_table import SparseRow, draw_rows, format_rows, judge_rows, make_row
from gpu.attention_tuning import TunedLength, candidate_tunings, format_tuned
from gpu.attention_work import AttentionShape, Peaks, count_block_pairs, count_work, least_s
from gpu.block_sparse import SPEC, Measured, main, write_json
from gpu.plugin_harness import PLUGIN, PluginHarness
from pegasus_plugins import reference
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.tuning import Tuning, tune
from pegasus_runtime.native.gpu import current_capability

REPOSITORY = Path(__file__).resolve().parents[2]
PEAKS = Peaks(bytes_per_s=4e12, operations_per_s=800e12)
SMALL = replace(SPEC, num_heads=2, block_size=16, scale=1 / math.sqrt(32))
FP16 = KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=0)


def shape_of(tokens: int, *, batch: int = 1) -> AttentionShape:
    return AttentionShape(batch=batch, heads=16, length=tokens, head_dim=64)


def row_of(tokens: int, ours_ms: float, dense_ms: float, *, batch: int = 1) -> SparseRow:
    times = {OURS: [ours_ms] * 3, DENSE: [dense_ms, 9 * dense_ms, dense_ms]}
    missing = {TRANSFORMERS: "the GPU's memory is too small"}
    return make_row(SPEC, shape_of(tokens, batch=batch), times, missing, PEAKS)


@pytest.mark.parametrize("longest_full", [0, 64])
def test_pairs_of_blocks_are_those_that_queries_see(longest_full: int) -> None:
    spec = replace(SMALL, num_heads=1, longest_full=longest_full)
    for length in (1, 16, 17, 33, 50, 64, 65, 80, 160, 161):
        seen = np.count_nonzero(reference.count_blocks(spec, length))
        # The kernel walks over the neighbours of blocks 1 and N-2 that are blocks 0 and N-1 too.
        num_blocks = spec.num_blocks(length)
        seen_twice = 0 if spec.is_full(length) else 2 * (num_blocks > 2)
        assert count_block_pairs(spec, length) == seen + seen_twice


def test_work_is_counted_as_loops_would() -> None:
    shape = shape_of(1024, batch=3)
    operations = 0
    for _ in range(3 * 16):
        for block in range(16):
            for _ in range(16 if block in (0, 15) else 5):
                operations += 2 * (64 * 64 * 64) * 2
    work = count_work(SPEC, shape)
    assert work.operations == operations
    assert work.num_bytes == 4 * (3 * 16 * 1024 * 64) * 2 + 3 * 1024 * 4
    wide = count_work(SPEC, replace(shape, number_bytes=4))
    assert wide.num_bytes - work.num_bytes == 4 * (3 * 16 * 1024 * 64) * 2


def test_the_tighter_roofline_is_the_longer_time() -> None:
    work = count_work(SPEC, shape_of(4096))
    assert least_s(work, PEAKS) == (work.operations / 800e12, "products")
    slow = replace(PEAKS, bytes_per_s=1e12)
    assert least_s(work, slow) == (work.num_bytes / 1e12, "memory")


def test_a_row_has_medians_percentiles_ratios_and_what_is_missing() -> None:
    row = row_of(4096, 0.02, 0.08)
    assert (row.median_ms[DENSE], row.p95_ms[DENSE]) == (0.08, pytest.approx(0.72))
    assert row.ratio(DENSE) == pytest.approx(4)
    assert row.ratio(TRANSFORMERS) is None
    assert row.roofline_percent == pytest.approx(100 * row.least_ms / 0.02)
    table = format_rows([row, row_of(8192, 0.04, 0.3, batch=4)])
    assert "batch 1, 4096 tokens" in table
    assert "4.0 x" in table
    assert "not measured: batch 4, 8192 tokens: transformers: the GPU's memory is" in table
    assert PLUGIN not in table
    beside = replace(row, median_ms={**row.median_ms, PLUGIN: 0.0123})
    assert "0.0123" in format_rows([beside])


def test_goals_stand_beside_what_was_got() -> None:
    rows = [row_of(1024, 1, 1), row_of(4096, 0.02, 0.08), row_of(16384, 0.07, 0.65)]
    verdicts = judge_rows(rows)
    assert [verdict.met for verdict in verdicts] == [True, False, False]
    assert [verdict.got for verdict in verdicts[:2]] == pytest.approx([4, 0.65 / 0.07])
    least = min(row.least_ms / ms for row, ms in zip(rows[1:], (0.02, 0.07), strict=True))
    assert verdicts[2].got == pytest.approx(100 * least)
    assert [verdict.met for verdict in judge_rows(rows[:1])] == [None, None, None]


def test_a_plot_and_a_report_are_written(tmp_path: Path) -> None:
    rows = [row_of(tokens, tokens / 2e5, tokens**2 / 3e8) for tokens in (1024, 4096, 16384)]
    draw_rows(tmp_path / "plot.png", rows, title="A GPU")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    measured = Measured(peaks=PEAKS, rows=rows, times_ms={"batch 1, 1024 tokens": {OURS: [1.0]}})
    cut = tune(FP16)
    measured.tuned.append(TunedLength(batch=1, tokens=9, usual=cut, median_ms={cut: 1}, refused={}))
    write_json(tmp_path / "new" / "report.json", {"gpu": "none"}, measured)
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report["rows"][1]["median_ms"][OURS] == pytest.approx(4096 / 2e5)
    assert report["tuned"][0]["cuts"][0]["num_warps"] == cut.num_warps
    assert report["targets"][0]["target"]["limit"] == 3.0


def test_every_engine_computes_the_same_attention_where_it_should() -> None:
    inputs = random_inputs(
        SMALL, batch=2, length=14 * 16, head_dim=32, dtype=torch.float32, device="cpu"
    )
    tensors = [x.double().numpy() for x in (inputs.query, inputs.key, inputs.value)]
    mask = inputs.key_mask.numpy()
    sparse = reference.attend(SMALL, tensors[0], tensors[1], tensors[2], mask)
    got = ENGINES[TRANSFORMERS](SMALL, inputs)()
    assert np.abs(got.numpy() - sparse).max() < TOLERANCES["float32"]
    short = random_inputs(
        SMALL, batch=1, length=176, head_dim=32, dtype=torch.float32, device="cpu"
    )
    with pytest.raises(MissingEngineError, match="it does not attend sparsely to 176 tokens"):
        ENGINES[TRANSFORMERS](SMALL, short)


def test_checks_cover_every_dtype_and_both_patterns() -> None:
    cases = gpu_cases()
    assert {case.dtype for case in cases} == set(TOLERANCES)
    assert {case.head_dim for case in cases} == {32, 64, 128}
    assert {case.block_size for case in cases} == {16, 32, 64, 128}
    assert {case.has_plan for case in cases} == {True, False}
    for case in cases:
        assert case.longest_full or case.spec.num_blocks(case.length) > 8  # ends are split


def test_a_wrong_kernel_is_told() -> None:
    right, wrong = (CheckResult(case=tiny_cases()[0], error=x) for x in (1e-7, 1e-3))
    nan = replace(right, error=math.nan)
    assert [x.is_right for x in (right, wrong, nan)] == [True, False, False]
    table = format_checks([right, wrong, nan])
    assert [line.split()[-1] for line in table.splitlines()[1:]] == ["right", "WRONG", "WRONG"]
    assert check_kernels([], device="cpu") == []


def test_cuts_of_the_kernel_divide_a_block_and_begin_with_the_usual_one() -> None:
    cuts = candidate_tunings(FP16)
    assert cuts[0] == tune(FP16)
    assert len(set(cuts)) == len(cuts) > 10
    assert all(64 % cut.tile_rows == 64 % cut.tile_keys == 0 for cut in cuts)
    small = candidate_tunings(replace(FP16, block_size=16))
    assert {(cut.tile_rows, cut.tile_keys) for cut in small} == {(16, 16)}


def test_the_best_cut_is_named_beside_the_usual_one() -> None:
    usual = tune(FP16)
    fast = Tuning(tile_rows=64, tile_keys=32, num_warps=8, num_stages=4)
    bad = replace(fast, num_stages=9)
    found = TunedLength(
        batch=1, tokens=4096, usual=usual, median_ms={usual: 0.03, fast: 0.02}, refused={bad: "no"}
    )
    table = format_tuned([found])
    row = "batch 1, 4096 tokens 64 32 8 4 0.0200 0.0300 1.50 x"
    assert row in " ".join(table.split())
    assert table.endswith(f"refused: {bad}: no")


class FakeTimer:
    """Counts its calls in place of milliseconds."""

    def __init__(self) -> None:
        self.calls = 0

    def milliseconds(self, call: event_timing.Call) -> float:
        call()
        self.calls += 1
        return float(self.calls)


def test_rounds_take_turns_after_the_warm_up() -> None:
    order: list[str] = []
    calls: Mapping[str, event_timing.Call] = {x: lambda x=x: order.append(x) for x in ("a", "b")}
    times = event_timing.measure_in_turns(
        FakeTimer(),  # type: ignore[arg-type]
        calls,
        rounds=2,
        warm_ups=1,
    )
    assert order == ["a", "b"] * 3
    assert times == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def write_harness(folder: Path, *, body: str) -> PluginHarness:
    """A program in place of drive_plugin."""
    program = folder / "drive_plugin"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n{body}\n")
    program.chmod(0o755)
    return PluginHarness(program=program, library=folder / "plugin.so")


COPY_QUERY = """
words = dict(zip(sys.argv[3::2], sys.argv[4::2]))
size = 2 * int(words['--heads']) * int(words['--length']) * int(words['--head-dim'])
Path(words['--output']).write_bytes(Path(words['--input']).read_bytes()[:size])
assert sys.argv[2] == 'enqueue' and words['--dtype'] == 'fp16' and words['--repeats'] == '7'
print('{"median_ms": 0.25, "least_ms": 0.2}')
"""


def test_the_plugins_output_must_be_the_kernels(tmp_path: Path) -> None:
    inputs = random_inputs(
        SMALL, batch=1, length=40, head_dim=32, dtype=torch.float16, device="cpu"
    )
    harness = write_harness(tmp_path, body=COPY_QUERY)
    assert harness.measure(SMALL, inputs, inputs.query, repeats=7) == 0.25
    with pytest.raises(MissingEngineError, match="its output differs from the kernel's by"):
        harness.measure(SMALL, inputs, inputs.query + 1, repeats=7)
    failing = write_harness(tmp_path, body="sys.exit('skipped: no GPU')")
    with pytest.raises(MissingEngineError, match="skipped: no GPU"):
        failing.measure(SMALL, inputs, inputs.query, repeats=7)
    silent = write_harness(tmp_path, body="sys.exit(3)")
    with pytest.raises(MissingEngineError, match="exit status 3"):
        silent.measure(SMALL, inputs, inputs.query, repeats=7)
    gone = PluginHarness(program=tmp_path / "gone", library=tmp_path / "plugin.so")
    with pytest.raises(MissingEngineError, match="gone does not run"):
        gone.measure(SMALL, inputs, inputs.query, repeats=7)


def test_the_interpreter_checks_the_kernels_without_a_gpu() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    script = REPOSITORY / "benchmarks" / "gpu" / "block_sparse.py"
    command = [sys.executable, str(script), "--interpret"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:]] == ["right", "right"]


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_without_a_gpu_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: this benchmark needs an NVIDIA GPU, and ")
    assert error.endswith("; --interpret checks the kernels without one\n")


def test_options_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--rounds", "0"], "--rounds is 0, expected 1 or more"),
        (["--harness", "drive_plugin"], "--harness and --library belong together"),
        (["--library", "plugin.so"], "--harness and --library belong together"),
        (["--tune", "--plot", "x.png"], "--tune draws nothing: leave --plot out"),
        (["--tokens", "many"], "'many' is no list of numbers"),
    ):
        with pytest.raises(SystemExit):
            main(options)
        assert message in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for words in ("dense flash", "roofline", "--tune", "python benchmarks/gpu/block_sparse.py"):
        assert words in text
