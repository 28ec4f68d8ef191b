"""What does it cost to have the whole generation in one ONNX graph, beside the runtime's loop?

A document of 512 random tokens, a summary of exactly 64 tokens, 8 beams, on a checkpoint of
google/pegasus-xsum's shape with random weights; 2 threads. generate.onnx of both spellings and the
Python runtime run in one process, in turns; times are medians over the rounds, after a warm-up.

- x runtime: over the time of pegasus_runtime, with the same weights, in ONNX Runtime's operators.
- copied a step: what a step moves of its cache, on average: keys and values are states of an ONNX
  Loop, which are joined with the new token's (one copy) and follow their beams (another). The
  runtime writes in place and copies nothing.
- tokens agree: with the runtime, place by place. Weights are random, so that near ties are common.

    python benchmarks/one_graph.py --json docs/figures/one_graph.json
    python benchmarks/one_graph.py --layers 2 --d-model 64 --rounds 1     # does it work?
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from harness import bench
from harness.measure_command import measure_command
from harness.shapes import (
    Shape,
    add_shape_arguments,
    random_documents,
    shape_from_arguments,
    write_checkpoint,
)
from harness.table import Cell, Table, columns_of
from pegasus_runtime import GenerationOptions, Summarizer

SOURCE_TOKENS, NEW_TOKENS, BEAMS, THREADS = 512, 64, 8, 2
BUNDLES = (("ort", "int8"), ("onnx", "int8"), ("ort", "fp32"), ("onnx", "fp32"))
SPELLINGS = {"ort": "ONNX Runtime's operators", "onnx": "stock operators"}
COLUMNS = columns_of(
    *("512 → 64 tokens, 8 beams", "one document|s|2", "x runtime||2", "copied a step|MB"),
    "tokens agree|%",
)

Run = Callable[[], Sequence[int]]
"""One summary: its tokens."""


def export(checkpoint: Path, target: str, precision: str, work_dir: Path) -> Path:
    """The bundle, made unless it is there."""
    output = work_dir / f"{checkpoint.name}-generate-{target}-{precision}"
    if not output.is_dir():
        command = [sys.executable, "-m", "pegasus_export.command.main", "--model", str(checkpoint)]
        command += ["--output", str(output), "--target", target, "--precision", precision]
        measure_command([*command, "--generate", "--quiet"], log=output.with_suffix(".log"))
    return output


def open_graph(folder: Path, source: Sequence[int]) -> Run:
    """generate.onnx."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    (path,) = folder.glob("generate*.onnx")
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    scalars = {
        "num_beams": BEAMS,
        "max_length": NEW_TOKENS + 1,
        "min_length": NEW_TOKENS + 1,
        "early_stopping": 0,
        "no_repeat_ngram_size": 0,
        "num_return_sequences": 1,
    }
    ids = np.array([source])
    feeds: dict[str, npt.NDArray[np.generic]] = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "length_penalty": np.array(1, np.float32),
        "repetition_penalty": np.array(1, np.float32),
        **{name: np.array(value) for name, value in scalars.items()},
    }
    return lambda: session.run(["sequences"], feeds)[0][0, 0].tolist()


def open_runtime(folder: Path, source: Sequence[int]) -> Run:
    """pegasus_runtime."""
    summarizer = Summarizer.load(folder, threads=THREADS)
    options = GenerationOptions(
        num_beams=BEAMS,
        max_length=NEW_TOKENS + 1,
        min_length=NEW_TOKENS + 1,
        length_penalty=1.0,
        early_stopping=False,
        no_repeat_ngram_size=0,
    )
    return lambda: summarizer.generate([source], options)[0][0].token_ids


def measure(runs: Mapping[str, Run], rounds: int) -> dict[str, tuple[float, Sequence[int]]]:
    """Median seconds and tokens of each, in turns."""
    tokens = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: (statistics.median(seconds[name]), tokens[name]) for name in runs}


def copied_bytes(shape: Shape) -> float:
    """Of a step, on average: what is joined, and what follows its beam."""
    rows_of_layer = 2 * BEAMS * shape.d_model * 4  # keys and values of one place
    return 2 * shape.decoder_layers * rows_of_layer * (NEW_TOKENS + 1) / 2


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add_shape_arguments(parser)
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    arguments = parser.parse_args(argv)
    shape = shape_from_arguments(arguments)
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = write_checkpoint(arguments.work_dir, shape)
    (source,) = random_documents([SOURCE_TOKENS], vocabulary=shape.vocabulary, seed=shape.seed)
    rows: list[tuple[Cell, ...]] = []
    for precision in ("int8", "fp32"):
        folders = {
            target: export(checkpoint, target, precision, arguments.work_dir)
            for target, each in BUNDLES
            if each == precision
        }
        runs = {"pegasus_runtime": open_runtime(folders["ort"], source)}
        runs |= {
            f"generate.onnx, {SPELLINGS[target]}": open_graph(folder, source)
            for target, folder in folders.items()
        }
        found = measure(runs, arguments.rounds)
        ours, expected = found["pegasus_runtime"]
        for name, (seconds, tokens) in found.items():
            copied = 0.0 if name == "pegasus_runtime" else copied_bytes(shape) / 1e6
            agree = np.mean([a == b for a, b in zip(tokens, expected, strict=True)])
            rows.append((f"{name}, {precision}", seconds, seconds / ours, copied, 100 * agree))
    bench.report(arguments, {"one_graph": Table(columns=COLUMNS, rows=tuple(rows))})


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
