"""How does the time of a summary grow with beams, source, target and batch, beside CTranslate2?

One axis varies at a time, from the same base: one document of 512 tokens, 64 new tokens, 8 beams;
int8, 2 threads, on a checkpoint of google/pegasus-xsum's shape with random weights. Where an axis
goes beyond the positions of the checkpoint, one with as many positions is written and exported.
All points are measured in turns; figures are medians over the rounds, after a warm-up. --plot
draws the four curves, whose small numbers are the peer's time over ours.

    python benchmarks/scaling.py --json scaling.json --plot scaling.png
    python benchmarks/scaling.py --rounds 1 --batch 1,4,16 --plot scaling.png   # as published
    python benchmarks/scaling.py --axes beams,batch --rounds 1
    python benchmarks/scaling.py --engines pegasus-edge-int8,pegasus-edge-fp32,ctranslate2-fp32
    python benchmarks/scaling.py --layers 2 --d-model 64 --rounds 1 --plot scaling.png  # it works?
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmark_arguments import (
    BenchmarkSettings,
    benchmark_parser,
    parse_numbers,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
)
from benchmark_report import describe_workers, write_report
from interleaved_rounds import Job, Timings, measure_rounds, start_workers
from random_documents import random_documents
from ratio_table import format_columns, format_number, ratio_to_peer
from workers.line_protocol import GenerationRequest
from xsum_shape import shape_from_arguments

__all__ = ["AXES", "BASE", "Point", "axis_points"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One workload of the four-dimensional space."""

    beams: int
    source_tokens: int
    target_tokens: int
    batch: int

    @property
    def name(self) -> str:
        return (
            f"{self.batch} x {self.source_tokens} -> {self.target_tokens} tokens,"
            f" {self.beams} beams"
        )


BASE = Point(beams=8, source_tokens=512, target_tokens=64, batch=1)
AXES = {
    "beams": (1, 2, 4, 8, 16),
    "source_tokens": (128, 256, 512, 1024),
    "target_tokens": (32, 64, 128, 256),
    "batch": (1, 2, 4, 8, 16),
}
AXIS_TITLES = {
    "beams": "beams",
    "source_tokens": "source tokens",
    "target_tokens": "new tokens",
    "batch": "documents at once",
}


def axis_points(axes: Mapping[str, Sequence[int]]) -> dict[str, list[Point]]:
    """Axis -> its points, ascending; the points of several axes can be the same."""
    points = {}
    for axis, values in axes.items():
        points[axis] = [replace(BASE, **{axis: value}) for value in values]
    return points


def plan_jobs(settings: BenchmarkSettings, points: Mapping[str, Sequence[Point]]) -> list[Job]:
    """One job for each point, each once."""
    jobs = []
    for point in dict.fromkeys(point for row in points.values() for point in row):
        sources = random_documents(
            [point.source_tokens] * point.batch,
            vocabulary=settings.shape.vocabulary,
            seed=settings.shape.seed,
        )
        request = GenerationRequest(
            sources=sources, beams=point.beams, new_tokens=point.target_tokens
        )
        jobs.append(Job(name=point.name, request=request, engines=settings.engine_names))
    return jobs


def format_axis(
    axis: str, points: Sequence[Point], timings: Timings, engines: Sequence[str]
) -> str:
    """Times of each engine, and each engine's time over the first one's."""
    first, *others = engines
    rows = [(AXIS_TITLES[axis], *engines, *(f"{name} / {first}" for name in others))]
    for point in points:
        medians = [timings.median_s(point.name, engine) for engine in engines]
        ratios = [ratio_to_peer(median, medians[0]) for median in medians[1:]]
        rows.append(
            (
                str(getattr(point, axis)),
                *(format_number(median, "s", digits=3) for median in medians),
                *(format_number(ratio, "x") for ratio in ratios),
            )
        )
    return format_columns(rows)


def draw(
    path: Path,
    points: Mapping[str, Sequence[Point]],
    timings: Timings,
    settings: BenchmarkSettings,
) -> None:
    """The curves of all engines, a panel for each axis."""
    from curve_panels import Curve, Panel, draw_panels  # matplotlib is slow to import

    engines, panels = settings.engine_names, []
    title = f"Time of a summary; where not varied: {BASE.name}, {settings.threads} threads"
    if len(engines) == 2:
        title += f"\nnumbers: time of {engines[1]} / time of {engines[0]}"
    for axis, row in points.items():
        curves = []
        for engine in engines:
            medians = [timings.median_s(point.name, engine) for point in row]
            curves.append(Curve(label=engine, values=[value or 0.0 for value in medians]))
        positions = [getattr(point, axis) for point in row]
        panels.append(Panel(x_label=AXIS_TITLES[axis], x_values=positions, curves=curves))
    draw_panels(path, panels, title=title)


def parse_axes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in AXES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown axis {unknown[0]!r}, expected some of {','.join(AXES)}"
        )
    return names


def run(argv: Sequence[str] | None) -> None:
    default = "pegasus-edge-int8,ctranslate2-int8"
    parser = benchmark_parser(__doc__, engines=default, rounds=3)
    add = parser.add_argument
    add("--axes", type=parse_axes, default=tuple(AXES), help=f"default: {','.join(AXES)}")
    for axis, values in AXES.items():
        flag = f"--{axis.replace('_', '-')}"
        listed = ",".join(map(str, values))
        add(flag, type=parse_numbers, default=values, metavar="N,N", help=f"default: {listed}")
    add("--plot", type=Path, metavar="FILE", help="draw the curves, as a PNG")
    arguments = parser.parse_args(argv)
    points = axis_points({axis: getattr(arguments, axis) for axis in arguments.axes})
    longest = max(point.source_tokens for row in points.values() for point in row)
    shape = shape_from_arguments(arguments)
    shape = replace(shape, positions=max(shape.positions, longest))
    settings = settings_from_arguments(arguments, shape=shape)
    folders = prepare_folders(settings)
    with start_workers(
        settings.engines, folders, threads=settings.threads, log_dir=settings.log_dir
    ) as workers:
        timings = measure_rounds(workers, plan_jobs(settings, points), rounds=settings.rounds)
        loaded = describe_workers(workers)
    print(f"base: {BASE.name}; {settings.threads} threads, median of {settings.rounds}")
    for axis, row in points.items():
        print(f"\n{format_axis(axis, row, timings, settings.engine_names)}")
    content = {
        "base": asdict(BASE),
        "axes": {axis: [asdict(point) for point in row] for axis, row in points.items()},
        "medians_s": {
            axis: [
                {engine: timings.median_s(point.name, engine) for engine in settings.engine_names}
                for point in row
            ]
            for axis, row in points.items()
        },
        "workers": loaded,
        "raw_seconds": timings.seconds,
        "other_cores": timings.other_cores,
    }
    write_report(arguments.json, settings, content)
    if arguments.plot:
        draw(arguments.plot, points, timings, settings)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
