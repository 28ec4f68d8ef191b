"""python -m gpu: does the GPU path work on this GPU? One table, and one line a part in JSON.

python -m gpu prepare                 graphs, cases and kernels, on any machine (minutes)
python -m gpu                         every part, on the GPU that is here
python -m gpu --stand-ins             the same against stand-ins of CUDA and TensorRT
python -m gpu --part threads          one part
python -m gpu mutations               damaged copies of the runtime, each of which has to fail
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gpu.parts import all_parts
from gpu.run_parts import BAD, run_parts
from gpu.setting import GateSetting, Outcome
from gpu.table import make_table

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what was asked for; 1 if a part is bad, or a damaged copy passes."""
    arguments = _parser().parse_args(argv)
    prepared = arguments.prepared.resolve()
    if arguments.what == "prepare":
        from gpu.prepare import prepare

        print(prepare(prepared, arguments.precision).text())
        return 0
    with tempfile.TemporaryDirectory(prefix="pegasus-gate-") as work:
        setting = GateSetting(
            prepared=prepared,
            work=Path(work),
            stand_ins=arguments.stand_ins or arguments.what == "mutations",
            num_cases=arguments.cases,
            num_documents=arguments.documents,
        )
        if arguments.what == "mutations":
            from gpu.mutations import run_mutations

            return run_mutations(setting)
        return _run(setting, arguments)


def _run(setting: GateSetting, arguments: argparse.Namespace) -> int:
    parts = all_parts(setting)
    asked = arguments.part or [part.name for part in parts]
    unknown = set(asked) - {part.name for part in parts}
    if unknown:
        names = ", ".join(part.name for part in parts)
        print(f"error: there is no part {min(unknown)!r}, expected of {names}", file=sys.stderr)
        return 2
    if not setting.bundles:
        print(f"error: {setting.prepared} has no graphs: run make gpu-prepare", file=sys.stderr)
        return 2
    started = time.monotonic()
    outcomes = run_parts(
        setting,
        [part for part in parts if part.name in asked],
        stop_early=arguments.stop_early,
        on_outcome=_tell,
    )
    for outcome in outcomes:
        if outcome.part == "machine":
            print(", ".join(f"{name} {value}" for name, value in outcome.figures.items()))
    print(make_table(outcomes).text())
    bad = [x.part for x in outcomes if x.verdict in BAD]
    skipped = sum(x.verdict == "skipped" for x in outcomes)
    seconds = time.monotonic() - started
    print(f"{len(bad)} of {len(outcomes)} parts are bad, {skipped} skipped, {seconds:.0f} s")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        found = {"stand_ins": setting.stand_ins, "parts": [asdict(x) for x in outcomes]}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(bool(bad))


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.part}: {outcome.verdict} {outcome.said}".rstrip(), file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("what", nargs="?", choices=("run", "prepare", "mutations"), default="run")
    add("--prepared", type=Path, default=Path("build/gpu/prepared"), metavar="DIR")
    add("--precision", nargs="+", default=["fp32", "fp16"], help="of prepare; default: both")
    add("--stand-ins", action="store_true", help="run against stand-ins, without a GPU")
    add("--part", action="append", metavar="PART", help="this part alone; may be given again")
    add("--cases", type=int, default=20, metavar="N", help="of each bundle; default: 20")
    add("--documents", type=int, default=200, metavar="N", help="of part memory; default: 200")
    add("--stop-early", action="store_true", help="after the first part that is bad")
    add("--json", type=Path, metavar="FILE", help="writes every outcome there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
