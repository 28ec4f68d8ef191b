"""How fast is our block-sparse attention on this NVIDIA GPU, and are the kernels right on it?

One layer of google/bigbird-pegasus-large's attention (16 heads of 64, blocks of 64, 3 random
blocks, pattern hf-eval) without its projections, in fp16. It checks the Triton kernels against a
reference in float64 first, in every dtype, and times nothing if they are wrong.

- ours: the two Triton kernels, launched from Python.
- dense flash: torch's scaled_dot_product_attention with its flash kernel and no other, over all
  keys, without a mask: another and larger result, at its fastest.
- FlexAttention: torch's, compiled for this very pattern; the same result.
- transformers: the core of its BigBirdPegasusBlockSparseAttention, which waits for the host in
  between; left out with the reason where transformers is missing or the GPU's memory is too small.
- C++ plugin: the TensorRT plugin's `enqueue`, run by its harness in a process of its own, with
  --harness and --library; its output must be that of our kernels. Its caches are not emptied.

Times are medians, and 95th percentiles, of rounds that take turns between the engines, by the GPU's
own clock, with its caches emptied before. The roofline is the least time that the bytes, at the
measured rate of copies, or the products, at the measured rate of large ones, need (see work.py).

    python benchmarks/block_sparse.py --json docs/figures/block_sparse.json   # and a plot beside it
    python benchmarks/block_sparse.py --tokens 4096 --batch 1 --tune   # cuts of the kernel
    python benchmarks/block_sparse.py --interpret       # the check alone, tiny, without a GPU
"""

from __future__ import annotations

import math
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch

from attention.engines import ENGINES, OURS, DenseInputs, MissingEngineError, random_inputs
from attention.plugin_harness import PLUGIN, PluginHarness
from attention.timing import Call, EventTimer, matmul_operations_per_second, measure_in_turns
from attention.tuning import tune_length, tuned_table
from attention.work import Peaks, count_work, least_s
from harness import bench
from harness.gpu import NoGpuError, copy_bytes_per_second, find_gpu
from harness.machine import REPOSITORY
from harness.plots import draw_report
from harness.table import Cell, Column, Table, ratio
from latency import percentile
from pegasus_plugins.specification import AttentionSpec
from pegasus_runtime.errors import EngineError

sys.path.insert(0, str(REPOSITORY / "tests"))

from plugins.kernel_check import check_kernel, check_table, gpu_cases, tiny_cases

HEAD_DIM = 64
SPEC = AttentionSpec(
    num_heads=16,
    block_size=64,
    num_random_blocks=3,
    longest_full=0,
    scale=1 / math.sqrt(HEAD_DIM),
)
TUNE_ROUNDS = 10
PEERS = tuple(name for name in ENGINES if name != OURS)


@dataclass(slots=True, kw_only=True)
class SparseTimes:
    """One batch of documents of one length."""

    batch: int
    tokens: int
    rounds_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """engine -> every round, of those that were measured."""
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"batch {self.batch}, {self.tokens} tokens"

    def median_ms(self, engine: str) -> float | None:
        values = self.rounds_ms.get(engine)
        return statistics.median(values) if values else None


def batch_table(found: Sequence[SparseTimes], peaks: Peaks) -> Table:
    """A row for each length: milliseconds, how many times faster ours is, and the roofline."""
    names = [*ENGINES, *([PLUGIN] if any(PLUGIN in each.rounds_ms for each in found) else [])]
    columns = [Column(title="tokens")]
    columns += [Column(title=name, unit="ms", digits=4) for name in names]
    columns += [Column(title="roofline", unit="ms", digits=4), Column(title="by")]
    columns += [Column(title="of the roofline", unit="%")]
    columns += [Column(title=f"{name} / ours", digits=1) for name in PEERS]
    columns += [Column(title=f"{name}, 95th percentile", digits=4) for name in names]
    columns += [Column(title="MB", digits=1), Column(title="GFLOP", digits=1)]
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        work = count_work(SPEC, batch=each.batch, length=each.tokens, head_dim=HEAD_DIM)
        least, bound = least_s(work, peaks)
        ours_ms = each.median_ms(OURS)
        share = None if ours_ms is None else 100_000 * least / ours_ms
        tails = [percentile(x, 95) if (x := each.rounds_ms.get(name)) else None for name in names]
        rows.append(
            (
                f"{each.tokens:,}",
                *(each.median_ms(name) for name in names),
                *(1000 * least, bound, share),
                *(ratio(each.median_ms(name), ours_ms) for name in PEERS),
                *tails,
                *(work.num_bytes / 1e6, work.operations / 1e9),
            )
        )
    return Table(columns=tuple(columns), rows=tuple(rows))


def measure_shape(
    timer: EventTimer, batch: int, tokens: int, *, rounds: int, harness: PluginHarness | None
) -> SparseTimes:
    """Of all engines that can compute this shape here."""
    inputs, found = _inputs(batch, tokens), SparseTimes(batch=batch, tokens=tokens)
    times = measure_in_turns(timer, _ready_calls(inputs, found.missing), rounds=rounds)
    if harness is not None:
        expected = ENGINES[OURS](SPEC, inputs)()
        try:
            times[PLUGIN] = [harness.measure(SPEC, inputs, expected, repeats=rounds)]
        except MissingEngineError as err:
            found.missing[PLUGIN] = str(err)
    found.rounds_ms = times
    return found


def _inputs(batch: int, tokens: int) -> DenseInputs:
    half = torch.float16
    return random_inputs(
        SPEC, batch=batch, length=tokens, head_dim=HEAD_DIM, dtype=half, device="cuda"
    )


def _ready_calls(inputs: DenseInputs, missing: dict[str, str]) -> dict[str, Call]:
    """Calls that have run once; why others did not goes into ``missing``."""
    calls: dict[str, Call] = {}
    for name, prepare in ENGINES.items():
        try:
            with torch.inference_mode():
                call = prepare(SPEC, inputs)
                call()
                torch.cuda.synchronize()
        except torch.OutOfMemoryError:
            missing[name] = "the GPU's memory is too small"
            torch.cuda.empty_cache()
        except (MissingEngineError, RuntimeError) as err:
            missing[name] = str(err).splitlines()[0]
        else:
            calls[name] = torch.inference_mode()(call)
    return calls


def check(*, interpreted: bool) -> None:
    """Prints the errors of the kernels. Raises: EngineError, NoGpuError."""
    try:
        import triton  # noqa: F401
    except ModuleNotFoundError as err:
        raise NoGpuError("Triton is not installed: it comes with torch, on Linux") from err
    cases, device = (tiny_cases(), "cpu") if interpreted else (gpu_cases(), "cuda")
    results = [(case, check_kernel(case, device)) for case in cases]
    print(f"{check_table(results).text()}\n")
    if not all(case.is_right(error) for case, error in results):
        raise EngineError("the kernels are wrong here, so that nothing is timed")


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    tokens = (1024, 2048, 4096, 8192, 16384)
    add(
        "--tokens",
        type=bench.parse_numbers,
        default=tokens,
        help="default: 1024 to 16384, doubling",
    )
    add("--batch", type=bench.parse_numbers, default=(1, 4), help="default: 1,4")
    add("--rounds", type=int, default=50, help="measured times; default: %(default)s")
    add("--tune", action="store_true", help="time cuts of our kernel instead, and name the best")
    add("--interpret", action="store_true", help="check the kernels on the CPU, and end")
    add("--harness", type=Path, metavar="FILE", help="drive_plugin, to time the C++ plugin too")
    add("--library", type=Path, metavar="FILE", help="the C++ plugin's library, for --harness")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, expected 1 or more")
    if (arguments.harness is None) != (arguments.library is None):
        parser.error("--harness and --library belong together: give both, or none")
    if arguments.interpret:
        os.environ["TRITON_INTERPRET"] = "1"  # which Triton reads when it is imported
        return check(interpreted=True)
    gpu = find_gpu(otherwise="; --interpret checks the kernels without one")
    if not torch.cuda.is_available():
        raise NoGpuError(f"torch {torch.__version__} finds no GPU: install one built for CUDA")
    check(interpreted=False)
    timer = EventTimer()
    shapes = [(batch, tokens) for batch in arguments.batch for tokens in arguments.tokens]
    if arguments.tune:
        tune = partial(tune_length, timer, SPEC, rounds=TUNE_ROUNDS)
        tuned = [tune(_inputs(batch, tokens)) for batch, tokens in shapes]
        refused = {str(cut): why for each in tuned for cut, why in each.refused.items()}
        cuts = [{str(cut): ms for cut, ms in each.median_ms.items()} for each in tuned]
        table = tuned_table(tuned)
        return bench.report(arguments, {"tuned": table}, missing=refused, gpu=gpu, cuts=cuts)
    peaks = Peaks(
        bytes_per_s=copy_bytes_per_second(), operations_per_s=matmul_operations_per_second(timer)
    )
    harness = None
    if arguments.harness is not None:
        harness = PluginHarness(program=arguments.harness, library=arguments.library)
    measure = partial(measure_shape, timer, rounds=arguments.rounds, harness=harness)
    found = [measure(batch, tokens) for batch, tokens in shapes]
    missing = {f"{x.name}, {name}": why for x in found for name, why in x.missing.items()}
    tables = {
        f"batch {batch}": batch_table([x for x in found if x.batch == batch], peaks)
        for batch in arguments.batch
    }
    plot = {"title": f"Block-sparse attention, fp16, {gpu.name}", "ms": "milliseconds"}
    raw = {x.name: x.rounds_ms for x in found}
    in_full = {"attention": asdict(SPEC), "peaks": asdict(peaks), "raw_ms": raw}
    bench.report(arguments, tables, missing=missing, gpu=gpu, plot=plot, measured=in_full)
    if arguments.json:
        draw_report(arguments.json)
    return None


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
