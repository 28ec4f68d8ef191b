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

from attention import timing
from attention.engines import (
    DENSE,
    ENGINES,
    FLEX,
    OURS,
    TRANSFORMERS,
    MissingEngineError,
    random_inputs,
)
from attention.plugin_harness import PLUGIN, PluginHarness
from attention.tuning import TunedLength, candidate_tunings, tuned_table
from attention.work import Peaks, Work, count_block_pairs, count_work, least_s
from block_sparse import SPEC, SparseTimes, batch_table, run
from harness.plots import draw_report
from pegasus_plugins import reference
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.tuning import Tuning, tune
from plugins.kernel_check import TOLERANCES, check_table, gpu_cases, tiny_cases

REPOSITORY = Path(__file__).resolve().parents[2]
PEAKS = Peaks(bytes_per_s=4e12, operations_per_s=800e12)
SMALL = replace(SPEC, num_heads=2, block_size=16, scale=1 / math.sqrt(32))
FP16 = KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=0)


def work_of(tokens: int, *, batch: int = 1, number_bytes: int = 2) -> Work:
    return count_work(SPEC, batch=batch, length=tokens, head_dim=64, number_bytes=number_bytes)


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
    operations = 0
    for _ in range(3 * 16):
        for block in range(16):
            for _ in range(16 if block in (0, 15) else 5):
                operations += 2 * (64 * 64 * 64) * 2
    work = work_of(1024, batch=3)
    assert work.operations == operations
    assert work.num_bytes == 4 * (3 * 16 * 1024 * 64) * 2 + 3 * 1024 * 4
    wide = work_of(1024, batch=3, number_bytes=4)
    assert wide.num_bytes - work.num_bytes == 4 * (3 * 16 * 1024 * 64) * 2


def test_the_tighter_roofline_is_the_longer_time() -> None:
    work = work_of(4096)
    assert least_s(work, PEAKS) == (work.operations / 800e12, "products")
    slow = replace(PEAKS, bytes_per_s=1e12)
    assert least_s(work, slow) == (work.num_bytes / 1e12, "memory")


def test_a_row_has_medians_percentiles_ratios_and_the_roofline() -> None:
    times = {OURS: [0.02] * 3, DENSE: [0.08, 0.72, 0.08]}
    found = SparseTimes(batch=1, tokens=4096, rounds_ms=times)
    table = batch_table([found], PEAKS)
    least_ms = 1e3 * least_s(work_of(4096), PEAKS)[0]
    assert table.cell("4,096", DENSE) == 0.08
    assert table.cell("4,096", f"{DENSE}, 95th percentile") == 0.72
    assert table.cell("4,096", f"{DENSE} / ours") == pytest.approx(4)
    assert table.cell("4,096", f"{TRANSFORMERS} / ours") is None
    assert table.cell("4,096", "roofline") == pytest.approx(least_ms)
    assert table.cell("4,096", "of the roofline") == pytest.approx(100 * least_ms / 0.02)
    assert PLUGIN not in [column.title for column in table.columns]
    found.rounds_ms = {**times, PLUGIN: [0.0123]}
    assert batch_table([found], PEAKS).shown("4,096", PLUGIN) == "0.0123 ms"


def test_a_report_is_drawn(tmp_path: Path) -> None:
    found = [
        SparseTimes(batch=1, tokens=n, rounds_ms={OURS: [n / 2e5], DENSE: [n**2 / 3e8]})
        for n in (1024, 4096)
    ]
    report = {
        "plot": {"title": "A GPU", "ms": "milliseconds"},
        "tables": {"batch 1": batch_table(found, PEAKS).to_json()},
    }
    (tmp_path / "plot.json").write_text(json.dumps(report))
    image = draw_report(tmp_path / "plot.json")
    assert image == tmp_path / "plot.png"
    assert image.read_bytes().startswith(b"\x89PNG")


def test_every_engine_computes_the_same_attention_where_it_should() -> None:
    inputs = random_inputs(
        SMALL, batch=2, length=14 * 16, head_dim=32, dtype=torch.float32, device="cpu"
    )
    tensors = [x.double().numpy() for x in (inputs.query, inputs.key, inputs.value)]
    mask = inputs.key_mask.numpy()
    sparse = reference.attend(SMALL, tensors[0], tensors[1], tensors[2], mask)
    for engine in (FLEX, TRANSFORMERS):
        got = ENGINES[engine](SMALL, inputs)()
        assert np.abs(got.numpy() - sparse).max() < TOLERANCES["float32"], engine
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
    case = tiny_cases()[0]
    table = check_table([(case, error) for error in (1e-7, 1e-3, math.nan)])
    assert [row[-1] for row in table.rows] == ["right", "WRONG", "WRONG"]


def test_cuts_of_the_kernel_divide_a_block_and_begin_with_the_usual_one() -> None:
    cuts = candidate_tunings(FP16)
    assert cuts[0] == tune(FP16)
    assert len(set(cuts)) == len(cuts) > 10
    pairs = [cut for cut in cuts if cut.tile_rows == 2 * 64]
    assert all(64 % cut.tile_rows == 64 % cut.tile_keys == 0 for cut in cuts if cut not in pairs)
    assert {(cut.tile_keys, cut.num_warps) for cut in pairs} == {(64, 4), (64, 8)}
    small = candidate_tunings(replace(FP16, block_size=16))
    assert {(cut.tile_rows, cut.tile_keys) for cut in small} == {(16, 16)}


@pytest.mark.parametrize("length", [18, 41, 57, 166])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pairs_of_query_blocks_give_the_same(length: int, dtype: str) -> None:
    """N is 2, 3, 4 and 11: no pair, half of one, one, and four and a half with the ends split."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from attention.pairs import attend_in_pairs

    inputs = random_inputs(
        SMALL, batch=2, length=length, head_dim=32, dtype=getattr(torch, dtype), device="cpu"
    )
    mask = inputs.key_mask.clone()
    mask[0, length // 3 : length // 2] = mask[1, -5:] = 0
    tensors = (inputs.query, inputs.key, inputs.value)
    cut = Tuning(tile_rows=32, tile_keys=16, num_warps=4, num_stages=2)
    got = attend_in_pairs(SMALL, *tensors, mask, num_sms=8, tuning=cut)
    query, key, value = (x.double().numpy() for x in tensors)
    expected = reference.attend(SMALL, query, key, value, mask.numpy())
    assert np.abs(got.double().numpy() - expected).max() < TOLERANCES[dtype]


def test_the_best_cut_is_named_beside_the_usual_one() -> None:
    usual = tune(FP16)
    fast = Tuning(tile_rows=64, tile_keys=32, num_warps=8, num_stages=4)
    bad = replace(fast, num_stages=9)
    found = TunedLength(
        batch=1, tokens=4096, usual=usual, median_ms={usual: 0.03, fast: 0.02}, refused={bad: "no"}
    )
    row = "batch 1, 4096 tokens 64 32 8 4 0.0200 ms 0.0300 ms 1.50 x"
    assert row in " ".join(tuned_table([found]).text().split())


class FakeTimer:
    """Counts its calls in place of milliseconds."""

    def __init__(self) -> None:
        self.calls = 0

    def milliseconds(self, call: timing.Call) -> float:
        call()
        self.calls += 1
        return float(self.calls)


def test_rounds_take_turns_after_the_warm_up() -> None:
    order: list[str] = []
    calls: Mapping[str, timing.Call] = {x: lambda x=x: order.append(x) for x in ("a", "b")}
    times = timing.measure_in_turns(
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
    script = REPOSITORY / "benchmarks" / "block_sparse.py"
    command = [sys.executable, str(script), "--interpret"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:3]] == ["right", "right"]


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(["--help"])
    text = capsys.readouterr().out
    for words in ("dense flash", "roofline", "--tune", "python benchmarks/block_sparse.py"):
        assert words in text
