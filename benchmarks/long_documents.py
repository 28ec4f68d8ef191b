"""What does the encoder of a BigBirdPegasus cost on long documents, beside its peers, in one run?

One document of 512 to 8192 tokens through an encoder of google/bigbird-pegasus-large's shape (16
layers, d 1024, blocks of 64) with random weights and positions for 8192 tokens; its decoder has one
layer, so that the cross-attention keys, which ours computes in its encoder, hardly count.

- pegasus-edge-int8, -fp32   block-sparse, as exported
- pegasus-edge-int8-full     the same weights with attention_type original_full
- transformers-fp32          block_sparse, set anew before each document
- optimum-fp32               Optimum exports full attention, with a warning

Each engine is a process of its own. In the warm-up lengths ascend, so that a process's peak memory
after each is that of this length. Then every round goes through all lengths and engines in turns;
times are medians over the rounds.
Full attention stops at --longest-full, as its scores alone take 4 GB of memory at 8192 tokens, for
every engine that does it; an engine that fails at a length is left out from there on.

    python benchmarks/long_documents.py --json long.json --plot long.png     # the published figures
    python benchmarks/long_documents.py --lengths 512,1024 --layers 2 --rounds 1   # does it work?
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmark_arguments import parse_numbers
from bigbird_shape import BigBirdShape, write_checkpoint, write_full_twin
from curve_panels import Curve, Panel, draw_panels
from measure import CommandError, describe_machine, measure_command
from peers import REPOSITORY, ensure_peer
from ratio_table import (
    Target,
    Verdict,
    format_columns,
    format_number,
    format_verdicts,
    judge,
    ratio_to_peer,
)

BENCHMARKS = Path(__file__).resolve().parent
LENGTHS = (512, 1024, 2048, 4096, 8192)
ENGINES = (
    "pegasus-edge-int8",
    "pegasus-edge-fp32",
    "pegasus-edge-int8-full",
    "transformers-fp32",
    "optimum-fp32",
)
FULL = ("pegasus-edge-int8-full", "optimum-fp32")
TARGETS = (
    Target(name="4096: transformers-fp32 / pegasus-edge-int8", limit=7.0),
    Target(name="4096: pegasus-edge-int8-full / pegasus-edge-int8", limit=2.2),
    Target(name="4096: transformers-fp32 / pegasus-edge-fp32", limit=2.3),
    Target(name="pegasus-edge-int8: 8192 / 4096 tokens", limit=2.15, at_most=True),
    Target(name="pegasus-edge-fp32: 8192 / 4096 tokens", limit=2.15, at_most=True),
)
MIB = 2**20


class EncoderProcess:
    """One engine's encoder in a process of its own."""

    def __init__(self, name: str, folder: Path, *, threads: int, log: Path) -> None:
        self.name = name
        family = name.rsplit("-fp32")[0].split("-int8")[0]
        python = ensure_peer("optimum").python if family == "optimum" else Path(sys.executable)
        command = [str(python), "-m", "workers.encoder_worker", "--family", family]
        command += ["--folder", str(folder), "--threads", str(threads)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=BENCHMARKS,
                text=True,
            )
        self.log = log
        self._read()

    def encode(self, tokens: int) -> tuple[float, int] | None:
        """Seconds, and the process's peak memory in bytes so far; None where it fails."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"tokens": tokens}) + "\n")
            self.process.stdin.flush()
            reply = self._read()
        except (BrokenPipeError, CommandError):
            return None
        if "error" in reply:
            print(f"{self.name}: {tokens} tokens: {reply['error']}", file=sys.stderr)
            return None
        return reply["seconds"], reply["peak_rss_bytes"]

    def __enter__(self) -> EncoderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> dict[str, float | int | str]:  # type: ignore[return]
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise CommandError(f"{self.name} ended: see {self.log}")
        content: dict[str, float | int | str] = json.loads(line)
        return content


def prepare(name: str, sparse: Path, full: Path, work_dir: Path) -> Path:
    """The folder that an engine loads, exported anew in every run but for Optimum's."""
    if name == "transformers-fp32":
        return sparse
    log = work_dir / "logs" / f"prepare-long-{name}.log"
    folder = work_dir / f"{sparse.name}-for-{name}"
    print(f"preparing {name} …", file=sys.stderr, flush=True)
    if name == "optimum-fp32":
        if not (folder / "encoder_model.onnx").is_file():
            cli = ensure_peer("optimum").bin / "optimum-cli"
            task = "text2text-generation-with-past"
            measure_command(
                [cli, "export", "onnx", "--model", sparse, "--task", task, folder], log=log
            )
        return folder
    cli = Path(sys.executable).with_name("pegasus-export")
    checkpoint = full if name.endswith("-full") else sparse
    precision = "int8" if "int8" in name else "fp32"
    options = ["--precision", precision, "--force", "--quiet", "--output", folder]
    measure_command([cli, "--model", checkpoint, *options], log=log)
    return folder


def measure(
    processes: Sequence[EncoderProcess],
    lengths: Sequence[int],
    *,
    rounds: int,
    longest_full: int,
) -> tuple[dict[str, dict[int, list[float]]], dict[str, dict[int, int]]]:
    """Seconds and peak memory, by engine and length."""
    seconds: dict[str, dict[int, list[float]]] = {x.name: {} for x in processes}
    peaks: dict[str, dict[int, int]] = {x.name: {} for x in processes}
    failed: set[tuple[str, int]] = set()
    for number in range(rounds + 1):  # the first warms up
        kind = f"round {number} of {rounds}" if number else "warm-up"
        for tokens, process in itertools.product(lengths, processes):
            too_long = process.name in FULL and tokens > longest_full
            if too_long or any(name == process.name and n <= tokens for name, n in failed):
                continue
            found = process.encode(tokens)
            if found is None:
                failed.add((process.name, tokens))
                continue
            if number:
                seconds[process.name].setdefault(tokens, []).append(found[0])
            else:
                peaks[process.name][tokens] = found[1]
            print(f"{kind}: {tokens} tokens: {process.name} {found[0]:.3f} s", file=sys.stderr)
    return seconds, peaks


def figures(medians: dict[str, dict[int, float]]) -> dict[str, float | None]:
    """What the targets are about."""
    found: dict[str, float | None] = {}
    for target in TARGETS:
        subject, _, rest = target.name.partition(": ")
        above, _, below = rest.removesuffix(" tokens").partition(" / ")
        if subject.isdigit():
            length = int(subject)
            pair = medians.get(above, {}).get(length), medians.get(below, {}).get(length)
        else:
            row = medians.get(subject, {})
            pair = row.get(int(above)), row.get(int(below))
        found[target.name] = ratio_to_peer(*pair)
    return found


def report(
    medians: dict[str, dict[int, float]], peaks: dict[str, dict[int, int]], lengths: Sequence[int]
) -> list[Verdict]:
    """Prints the tables."""
    names = list(medians)
    rows = [("tokens", *names)]
    memory = [("tokens", *names)]
    for tokens in lengths:
        rows.append(
            (str(tokens), *(format_number(medians[x].get(tokens), "s", digits=3) for x in names))
        )
        in_mib = [peaks[x][tokens] / MIB if tokens in peaks[x] else None for x in names]
        memory.append((str(tokens), *(format_number(x, "MiB", digits=0) for x in in_mib)))
    print(f"time\n{format_columns(rows)}\n\npeak memory\n{format_columns(memory)}\n")
    verdicts = judge(TARGETS, figures(medians))
    print(format_verdicts(verdicts))
    return verdicts


def draw(
    path: Path,
    medians: dict[str, dict[int, float]],
    peaks: dict[str, dict[int, int]],
    lengths: Sequence[int],
    threads: int,
) -> None:
    """Time and peak memory over length."""
    times = [
        Curve(label=name, values=[row.get(x, float("nan")) for x in lengths])
        for name, row in medians.items()
    ]
    memory = [
        Curve(label=name, values=[row.get(x, float("nan")) / MIB for x in lengths])
        for name, row in peaks.items()
    ]
    panels = [
        Panel(x_label="tokens", x_values=lengths, curves=times, y_label="seconds"),
        Panel(x_label="tokens", x_values=lengths, curves=memory, y_label="peak memory, MiB"),
    ]
    title = f"Encoder of google/bigbird-pegasus-large's shape, {threads} threads"
    draw_panels(path, panels, title=title)


def parse_engines(text: str) -> list[str]:
    """Names separated by commas."""
    names = text.split(",")
    for name in names:
        if name not in ENGINES:
            raise argparse.ArgumentTypeError(f"{name!r}, expected some of {', '.join(ENGINES)}")
    return names


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--lengths", type=parse_numbers, default=LENGTHS, help="default: 512,1024,2048,4096,8192")
    add("--engines", type=parse_engines, default=ENGINES, help=f"default: {','.join(ENGINES)}")
    add("--rounds", type=int, default=3, help="default: 3")
    add("--longest-full", type=int, default=4096, help="of full attention; default: 4096")
    add("--threads", type=int, default=2, help="default: 2")
    add("--layers", type=int, default=BigBirdShape().encoder_layers, help="default: 16")
    add("--work-dir", type=Path, default=REPOSITORY / "build" / "benchmarks")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    add("--plot", type=Path, metavar="FILE", help="draw the curves, as a PNG")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    names = arguments.engines
    work_dir = arguments.work_dir.resolve()
    shape = BigBirdShape(encoder_layers=arguments.layers, positions=max(arguments.lengths))
    sparse = work_dir / f"bigbird-shape-{shape.encoder_layers}x{shape.positions}"
    try:
        write_checkpoint(sparse, shape)
        full = write_full_twin(sparse, sparse.with_name(f"{sparse.name}-full"))
        folders = {name: prepare(name, sparse, full, work_dir) for name in names}
        with ExitStack() as stack:
            processes = [
                stack.enter_context(
                    EncoderProcess(
                        name,
                        folders[name],
                        threads=arguments.threads,
                        log=work_dir / "logs" / f"long-{name}.log",
                    )
                )
                for name in names
            ]
            seconds, peaks = measure(
                processes,
                arguments.lengths,
                rounds=arguments.rounds,
                longest_full=arguments.longest_full,
            )
    except CommandError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    medians = {
        name: {tokens: statistics.median(values) for tokens, values in row.items()}
        for name, row in seconds.items()
    }
    verdicts = report(medians, peaks, arguments.lengths)
    if arguments.json:
        content = {
            "machine": describe_machine(REPOSITORY),
            "shape": asdict(shape),
            "threads": arguments.threads,
            "seconds": seconds,
            "peak_bytes": peaks,
            "targets": [asdict(verdict) for verdict in verdicts],
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    if arguments.plot:
        draw(arguments.plot, medians, peaks, arguments.lengths, arguments.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
