"""How many documents a second does pegasus-serve give, and how late, beside other servers?

Two models. pegasus-mini in fp32, held-out reports, real summaries by 8 beams; and a checkpoint of
google/pegasus-xsum's shape with random weights in int8, texts of 100 to 512 tokens, summaries
forced to 32 tokens, 8 beams. Every server has the same texts, beams, lengths and threads, and is
alone on the machine while it is measured; it is started anew for each round, and warmed up.

Throughput: all documents in one call of `Summarizer.summarize`, one after the other, and over
HTTP by 1 and by 16 clients that each wait for their answer. Latency: requests arrive at random
(Poisson, seeded) at 50 and 80 % of what pegasus-serve does with 16 clients, the same for every
server, whether it keeps up or not; it is counted from the moment a request should have been sent,
so that a server which holds up the generator does not hide that. Overload: three times what
pegasus-serve does, for a minute; and short documents among a flood of long ones.

The peers are a plain FastAPI server around CTranslate2, one document a call in the thread pool,
and LitServe, which batches, around CTranslate2; each at the best of the settings that were tried.

The generator of load is a process of its own on the same cores: the table says what it takes of
one, and the null server how many requests it can send.

    python benchmarks/serving.py --json docs/figures/serving.json
    python benchmarks/serving.py --what overload      # throughput, latency, overload
    python benchmarks/serving.py --quick              # does it work?
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from harness import bench
from harness.load.contenders import CONTENDERS
from harness.load.latency import Latency, latency_table, measure_latency
from harness.load.line_process import LineProcess
from harness.load.models import ServedModel, prepare_mini, prepare_shape
from harness.load.overload import (
    flood_table,
    measure_flood,
    measure_trickle,
    trickle_table,
)
from harness.load.throughput import (
    CLIENTS,
    Lab,
    Throughput,
    measure_null,
    measure_throughput,
    row_of,
    throughput_table,
)
from harness.shapes import Shape
from harness.table import Table

WHAT = ("throughput", "latency", "overload")
QUICK_SHAPE = Shape(encoder_layers=1, decoder_layers=1, d_model=64, ffn_dim=256, heads=1)


def run(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.documents, arguments.rounds, arguments.seconds = 32, 1, 4.0
        arguments.shape_documents, arguments.shape_seconds, arguments.overload_s = 4, 4.0, 4.0
    work_dir = arguments.work_dir.resolve()
    models = _prepare(arguments)
    with LineProcess("harness.load.generator", log=work_dir / "logs" / "generator.log") as load:
        lab = Lab(generator=load, threads=arguments.threads, log_dir=work_dir / "logs")
        found, latencies = _measure(arguments, models, lab)
        tables = {}
        if found:
            tables["throughput"] = throughput_table(found)
        if latencies:
            tables["latency"] = latency_table(latencies)
        faults = _measure_overload(models[0], arguments, lab, tables)
        null = measure_null(lab, requests=400 if arguments.quick else 4000)
    for fault in faults:
        print(f"fault under overload: {fault}")
    missing = {f"{k}, {name}": v for name, (_, x) in found.items() for k, v in x.missing.items()}
    bench.report(
        arguments,
        tables,
        missing=missing,
        threads=arguments.threads,
        null_server={"requests/s": null.per_second, "cpu_s": null.cpu_s, "seconds": null.seconds},
        rounds={name: _without_texts(each) for name, (_, each) in found.items()},
        faults=faults,
    )
    print(f"the generator of load sends {null.per_second:.0f} requests/s to a server that does")
    print(f"nothing, at {100 * null.cpu_s / null.seconds:.0f} % of a core")


def _measure(
    arguments: argparse.Namespace, models: Sequence[ServedModel], lab: Lab
) -> tuple[dict[str, tuple[ServedModel, Throughput]], list[Latency]]:
    """Throughput comes first: latency is measured at shares of it."""
    found: dict[str, tuple[ServedModel, Throughput]] = {}
    latencies: list[Latency] = []
    if not {"throughput", "latency"} & set(arguments.what):
        return found, latencies
    for model in models:
        is_small = model is models[0]
        rounds = arguments.rounds if is_small else 1
        tuned_on = max(2, len(model.texts) // 2)
        each = measure_throughput(model, lab, rounds=rounds, tuned_on=tuned_on)
        found[model.name] = model, each
        if "latency" in arguments.what:
            row = row_of(CONTENDERS[0], CLIENTS)
            capacity = len(model.texts) * len(each.seconds[row]) / sum(each.seconds[row])
            names = [x.name for x in CONTENDERS if x.name not in each.missing]
            latencies += measure_latency(
                model,
                lab,
                capacity=capacity,
                seconds=arguments.seconds if is_small else arguments.shape_seconds,
                chosen=each.chosen,
                names=names if is_small else names[:1],
            )
    return found, latencies


def _measure_overload(
    model: ServedModel, arguments: argparse.Namespace, lab: Lab, tables: dict[str, Table]
) -> list[str]:
    """What is not as it has to be."""
    if "overload" not in arguments.what:
        return []
    flood = measure_flood(model, lab, seconds=arguments.overload_s)
    tables["overload"] = flood_table(flood)
    trickle = measure_trickle(model, lab, seconds=arguments.overload_s / 2)
    tables["fairness"] = trickle_table(trickle)
    return flood.faults()


def _prepare(arguments: argparse.Namespace) -> list[ServedModel]:
    work_dir = arguments.work_dir.resolve()
    models = [prepare_mini(work_dir, arguments.documents)]
    if arguments.shape_documents and {"throughput", "latency"} & set(arguments.what):
        shape = {"shape": QUICK_SHAPE} if arguments.quick else {}
        tokens = 4 if arguments.quick else arguments.new_tokens
        documents = arguments.shape_documents
        models.append(prepare_shape(work_dir, documents, new_tokens=tokens, **shape))
    return models


def _without_texts(found: Throughput) -> dict[str, object]:
    content = asdict(found)
    del content["texts"]
    return content | {"chosen": {name: str(each) for name, each in found.chosen.items()}}


def _parser() -> argparse.ArgumentParser:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--what", type=bench.names_of(WHAT), default=WHAT, metavar="A,B", help="default: all")
    add("--documents", type=int, default=160, help="of pegasus-mini; default: 160")
    add("--rounds", type=int, default=3, help="of pegasus-mini; default: 3")
    add("--seconds", type=float, default=25.0, help="of latency at each rate; default: 25")
    add("--shape-documents", type=int, default=16, help="of xsum's shape, 0 for none; default: 16")
    add("--shape-seconds", type=float, default=45.0, help="of latency there; default: 45")
    add("--new-tokens", type=int, default=32, help="of a summary there; default: 32")
    add("--overload-s", type=float, default=60.0, help="seconds of overload; default: 60")
    add("--threads", type=int, default=bench.THREADS, help="of each engine; default: 2")
    add("--quick", action="store_true", help="little of everything, and a tiny shape")
    return parser


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
