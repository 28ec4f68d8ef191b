"""How fast is our block-sparse attention on this NVIDIA GPU, and are the kernels right on it?

One layer of google/bigbird-pegasus-large's attention (16 heads of 64, blocks of 64, 3 random
blocks, pattern hf-eval) without its projections, in fp16. It checks the Triton kernels against a
reference in float64 first, in every dtype, and times nothing if they are wrong.

- ours: the two Triton kernels, launched from Python.
- dense flash: torch's scaled_dot_product_attention with its flash kernel and no other, over all
  keys, without a mask: another and larger result, at its fastest.
- transformers: the core of its BigBirdPegasusBlockSparseAttention, which waits for the host in
  between; left out with the reason where transformers is missing or the GPU's memory is too small.
- C++ plugin: the TensorRT plugin's `enqueue`, run by its harness in a process of its own, with
  --harness and --library; its output must be that of our kernels. Its caches are not emptied.

Times are medians, and 95th percentiles, of rounds that take turns between the engines, by the GPU's
clock, after a warm-up, with the GPU's caches emptied before every call. The roofline is the time
that our bytes (query, key, value, output and mask, once each) or our products (5 pairs of blocks
for each block in the middle, all for the two at the ends) need at the least, whichever is longer,
at rates that are measured on this GPU in the same run.

    python benchmarks/gpu/block_sparse.py --json block_sparse.json --plot block_sparse.png
    python benchmarks/gpu/block_sparse.py --tokens 4096 --batch 1 --tune   # cuts of the kernel
    python benchmarks/gpu/block_sparse.py --interpret       # the check alone, tiny, without a GPU
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import torch

from benchmark_arguments import parse_numbers
from gpu.attention_check import check_kernels, format_checks, gpu_cases, tiny_cases
from gpu.attention_engines import (
    ENGINES,
    OURS,
    DenseInputs,
    MissingEngineError,
    random_inputs,
)
from gpu.attention_table import SparseRow, draw_rows, format_rows, judge_rows, make_row
from gpu.attention_tuning import TunedLength, format_tuned, tune_length
from gpu.attention_work import AttentionShape, Peaks
from gpu.event_timing import Call, EventTimer, matmul_operations_per_second, measure_in_turns
from gpu.gpu_machine import (
    NO_GPU_STATUS,
    NoGpuError,
    copy_bytes_per_second,
    describe_gpu_machine,
    find_gpu,
)
from gpu.plugin_harness import PLUGIN, PluginHarness
from pegasus_plugins.specification import AttentionSpec
from pegasus_runtime.errors import EngineError
from ratio_table import format_verdicts

__all__ = ["Measured", "main", "measure_shape", "parse_arguments"]

HEADS, HEAD_DIM = 16, 64
SPEC = AttentionSpec(
    num_heads=HEADS,
    block_size=64,
    num_random_blocks=3,
    longest_full=0,
    scale=1 / math.sqrt(HEAD_DIM),
)
WRONG_STATUS = 1
TUNE_ROUNDS = 10


@dataclass(slots=True, kw_only=True)
class Measured:
    """Of one run."""

    peaks: Peaks
    rows: list[SparseRow] = field(default_factory=list)
    times_ms: dict[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """"batch 1, 1024 tokens" -> engine -> every round."""
    tuned: list[TunedLength] = field(default_factory=list)


def measure_shape(
    timer: EventTimer,
    shape: AttentionShape,
    measured: Measured,
    *,
    rounds: int,
    harness: PluginHarness | None,
) -> None:
    """One row, of all engines that can compute this shape here."""
    inputs = random_inputs(
        SPEC,
        batch=shape.batch,
        length=shape.length,
        head_dim=shape.head_dim,
        dtype=torch.float16,
        device="cuda",
    )
    calls, missing = _ready_calls(inputs)
    times: dict[str, list[float]] = measure_in_turns(timer, calls, rounds=rounds)
    if harness is not None:
        expected = ENGINES[OURS](SPEC, inputs)()
        try:
            times[PLUGIN] = [harness.measure(SPEC, inputs, expected, repeats=rounds)]
        except MissingEngineError as err:
            missing[PLUGIN] = str(err)
    measured.times_ms[f"batch {shape.batch}, {shape.length} tokens"] = times
    measured.rows.append(make_row(SPEC, shape, times, missing, measured.peaks))


def _ready_calls(inputs: DenseInputs) -> tuple[dict[str, Call], dict[str, str]]:
    """Calls that have run once, and why others did not."""
    calls: dict[str, Call] = {}
    missing = {}
    for name, prepare in ENGINES.items():
        try:
            with torch.inference_mode():
                call = prepare(SPEC, inputs)
                call()
                torch.cuda.synchronize()
        except torch.OutOfMemoryError:
            missing[name] = "the GPU's memory is too small"
            torch.cuda.empty_cache()
            continue
        except (MissingEngineError, RuntimeError) as err:
            missing[name] = str(err).splitlines()[0]
            continue
        calls[name] = torch.inference_mode()(call)
    return calls, missing


def measure_all(arguments: argparse.Namespace, timer: EventTimer, measured: Measured) -> None:
    """Fills ``measured``."""
    harness = None
    if arguments.harness is not None:
        harness = PluginHarness(program=arguments.harness, library=arguments.library)
    for batch in arguments.batch:
        for tokens in arguments.tokens:
            print(f"batch {batch}, {tokens} tokens …", file=sys.stderr, flush=True)
            shape = AttentionShape(batch=batch, heads=HEADS, length=tokens, head_dim=HEAD_DIM)
            if not arguments.tune:
                measure_shape(timer, shape, measured, rounds=arguments.rounds, harness=harness)
                continue
            inputs = random_inputs(
                SPEC,
                batch=batch,
                length=tokens,
                head_dim=HEAD_DIM,
                dtype=torch.float16,
                device="cuda",
            )
            measured.tuned.append(tune_length(timer, SPEC, inputs, rounds=TUNE_ROUNDS))


def write_json(path: Path, machine: Mapping[str, object], measured: Measured) -> None:
    """Every figure, raw ones too."""
    report = {
        "machine": machine,
        "attention": asdict(SPEC),
        "head_dim": HEAD_DIM,
        "peaks": asdict(measured.peaks),
        "rows": [
            {**asdict(row), "roofline_percent": row.roofline_percent} for row in measured.rows
        ],
        "raw_ms": measured.times_ms,
        "targets": [asdict(verdict) for verdict in judge_rows(measured.rows)],
        "tuned": [
            {
                "batch": each.batch,
                "tokens": each.tokens,
                "cuts": [
                    {**asdict(cut), "median_ms": value} for cut, value in each.median_ms.items()
                ],
            }
            for each in measured.tuned
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details.rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    tokens = (1024, 2048, 4096, 8192, 16384)
    add("--tokens", type=parse_numbers, default=tokens, help="default: 1024 to 16384, doubling")
    add("--batch", type=parse_numbers, default=(1, 4), help="default: 1,4")
    add("--rounds", type=int, default=50, help="measured times; default: %(default)s")
    add("--tune", action="store_true", help="time cuts of our kernel instead, and name the best")
    add("--interpret", action="store_true", help="check the kernels on the CPU, and end")
    add("--harness", type=Path, metavar="FILE", help="drive_plugin, to time the C++ plugin too")
    add("--library", type=Path, metavar="FILE", help="the C++ plugin's library, for --harness")
    add("--json", type=Path, metavar="FILE", help="write all figures, raw ones too, to FILE")
    add("--plot", type=Path, metavar="FILE", help="draw time over length into FILE, a PNG")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, expected 1 or more")
    if (arguments.harness is None) != (arguments.library is None):
        parser.error("--harness and --library belong together: give both, or none")
    if arguments.plot is not None and arguments.tune:
        parser.error("--tune draws nothing: leave --plot out")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    if arguments.interpret:
        os.environ["TRITON_INTERPRET"] = "1"  # which Triton reads when it is imported
        return _check(interpreted=True)
    try:
        gpu = find_gpu()
        _check_torch()
    except NoGpuError as err:
        print(f"error: {err}; --interpret checks the kernels without one", file=sys.stderr)
        return NO_GPU_STATUS
    machine = describe_gpu_machine(REPOSITORY, gpu)
    print(f"{gpu}\n{machine['packages']}\n{machine['gpu_packages']}\n")
    status = _check(interpreted=False)
    if status:
        return status
    timer = EventTimer()
    try:
        bytes_per_s = copy_bytes_per_second()
    except EngineError as err:
        print(f"error: the GPU's bandwidth cannot be measured: {err}", file=sys.stderr)
        return 1
    peaks = Peaks(bytes_per_s=bytes_per_s, operations_per_s=matmul_operations_per_second(timer))
    print(
        f"\nmeasured peaks: copies {peaks.bytes_per_s / 1e9:.0f} GB/s, fp16 products "
        f"{peaks.operations_per_s / 1e12:.0f} TFLOP/s\n"
    )
    measured = Measured(peaks=peaks)
    measure_all(arguments, timer, measured)
    _report(arguments, machine, measured, title=f"Block-sparse attention, fp16, {gpu.name}")
    return 0


def _check_torch() -> None:
    """Raises: NoGpuError."""
    try:
        import triton  # noqa: F401
    except ModuleNotFoundError as err:
        raise NoGpuError("Triton is not installed: install torch with CUDA, on Linux") from err
    if not torch.cuda.is_available():
        raise NoGpuError(f"torch {torch.__version__} finds no GPU: install one built for CUDA")


def _check(*, interpreted: bool) -> int:
    """Prints the errors of the kernels; the exit status."""
    device = "cpu" if interpreted else "cuda"
    try:
        results = check_kernels(tiny_cases() if interpreted else gpu_cases(), device=device)
    except ModuleNotFoundError as err:
        print(f"error: {err.name} is not installed: it comes with torch, on Linux", file=sys.stderr)
        return NO_GPU_STATUS
    print(format_checks(results))
    if all(result.is_right for result in results):
        return 0
    print("error: the kernels are wrong here, so that nothing is timed", file=sys.stderr)
    return WRONG_STATUS


def _report(
    arguments: argparse.Namespace,
    machine: Mapping[str, object],
    measured: Measured,
    *,
    title: str,
) -> None:
    if measured.tuned:
        print(format_tuned(measured.tuned))
    else:
        print(f"{format_rows(measured.rows)}\n\n{format_verdicts(judge_rows(measured.rows))}")
    if arguments.plot is not None:
        draw_rows(arguments.plot, measured.rows, title=title)
    if arguments.json is not None:
        write_json(arguments.json, machine, measured)


if __name__ == "__main__":
    sys.exit(main())
