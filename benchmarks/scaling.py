"""How does the time of a summary grow with beams, source, target and batch, beside CTranslate2?

Each axis is varied on its own around one document of 512 tokens, 64 new tokens, 8 beams; int8, 2
threads, on a checkpoint of google/pegasus-xsum's shape with random weights. Where an axis goes
beyond the positions of the checkpoint, one with as many positions is written and exported. All
points are measured in turns; figures are medians over the rounds, after a warm-up. With --json, the
curves are drawn beside it; their small numbers are the peer's time over ours.

    python benchmarks/scaling.py --rounds 1 --batch 1,4,16 --json docs/figures/scaling.json
    python benchmarks/scaling.py --axes beams,batch --rounds 1
    python benchmarks/scaling.py --layers 2 --d-model 64 --rounds 1 --beams 1,2   # does it work?
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness import bench
from harness.plots import draw_report
from harness.prepare import prepare_engines
from harness.protocol import Request
from harness.rounds import Job, Timings, measure_rounds, start_workers
from harness.shapes import shape_from_arguments, write_checkpoint
from harness.table import Column, Table, ratio

TITLE = "Time of a summary; where not varied: 1 x 512 -> 64 tokens, 8 beams, 2 threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One workload of the four-dimensional space."""

    beams: int
    source_tokens: int
    target_tokens: int
    batch: int

    @property
    def name(self) -> str:
        tokens = f"{self.source_tokens} -> {self.target_tokens} tokens"
        return f"{self.batch} x {tokens}, {self.beams} beams"


BASE = Point(beams=8, source_tokens=512, target_tokens=64, batch=1)
AXES = {
    "beams": (1, 2, 4, 8, 16),
    "source_tokens": (128, 256, 512, 1024),
    "target_tokens": (32, 64, 128, 256),
    "batch": (1, 2, 4, 8, 16),
}
AXIS_TITLES = {"target_tokens": "new tokens", "batch": "documents at once"}


def axis_points(axes: Mapping[str, Sequence[int]]) -> dict[str, list[Point]]:
    """Axis -> its points, ascending; the points of several axes can be the same."""
    return {
        axis: [replace(BASE, **{axis: value}) for value in values] for axis, values in axes.items()
    }


def plan_jobs(settings: bench.Settings, points: Mapping[str, Sequence[Point]]) -> list[Job]:
    """One job for each point, each once."""
    jobs = []
    for point in dict.fromkeys(point for row in points.values() for point in row):
        sources = settings.documents(*[point.source_tokens] * point.batch)
        request = Request(sources=sources, beams=point.beams, new_tokens=point.target_tokens)
        jobs.append(Job(name=point.name, request=request, engines=settings.engine_names))
    return jobs


def make_table(
    axis: str, points: Sequence[Point], timings: Timings, settings: bench.Settings
) -> Table:
    """Times of each engine, and each engine's time over the first one's."""
    engines = [each for each in settings.engines if each.name not in timings.missing]
    columns = [Column(title=AXIS_TITLES.get(axis, axis.replace("_", " ")))]
    columns += [Column(title=each.title, unit="s", digits=2) for each in engines]
    others = ["x ours"] if len(engines) == 2 else [f"{each.title}, x ours" for each in engines[1:]]
    columns += [Column(title=title, digits=2) for title in others]
    rows = []
    for point in points:
        medians = [timings.median_s(point.name, each.name) for each in engines]
        ratios = [ratio(median, medians[0]) for median in medians[1:]]
        rows.append((str(getattr(point, axis)), *medians, *ratios))
    return Table(columns=tuple(columns), rows=tuple(rows))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines="pegasus-edge-int8,ctranslate2-int8", rounds=3)
    add = parser.add_argument
    add("--axes", type=bench.names_of(AXES), default=tuple(AXES), help=f"default: {','.join(AXES)}")
    for axis, values in AXES.items():
        flag = f"--{axis.replace('_', '-')}"
        listed = ",".join(map(str, values))
        add(
            flag,
            type=bench.parse_numbers,
            default=values,
            metavar="N,N",
            help=f"default: {listed}",
        )
    arguments = parser.parse_args(argv)
    points = axis_points({axis: getattr(arguments, axis) for axis in arguments.axes})
    longest = max(point.source_tokens for row in points.values() for point in row)
    shape = shape_from_arguments(arguments)
    shape = replace(shape, positions=max(shape.positions, longest))
    settings, timings = bench.settings_from_arguments(parser, arguments, shape=shape), Timings()
    checkpoint = write_checkpoint(settings.work_dir, shape)
    folders = prepare_engines(settings.engines, checkpoint, settings.work_dir, timings)
    with start_workers(
        settings.engines, folders, timings, threads=settings.threads, log_dir=settings.log_dir
    ) as workers:
        measure_rounds(workers, plan_jobs(settings, points), timings, rounds=settings.rounds)
    found = {axis: make_table(axis, row, timings, settings) for axis, row in points.items()}
    plot = {"title": TITLE, "s": "seconds"}
    bench.report(arguments, found, settings=settings, timings=timings, plot=plot)
    if arguments.json:
        draw_report(arguments.json)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
