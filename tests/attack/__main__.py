"""python -m attack: tries to break pegasus-edge, and prints one table of what came of it.

python -m attack                                  every part, with the counts of `make attack`
python -m attack bundles --bundles 200            one part, shorter
python -m attack bundles --seed 0 --case 17       one case again, with all that is known of it
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from attack.bases import make_bases
from attack.outcome import BAD, Outcome
from attack.parts import PARTS, run_part
from attack.table import make_table

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what was asked for; 1 if a fault was found."""
    arguments = _parser().parse_args(argv)
    names = arguments.parts or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="attack-") as work:
        bases = make_bases(arguments.bases.resolve(), short=arguments.short)
        outcomes: list[Outcome] = []
        for name in names:
            count = getattr(arguments, name)
            first = arguments.first if arguments.case is None else arguments.case
            outcomes += run_part(
                name,
                bases,
                Path(work),
                range(first, first + (count if arguments.case is None else 1)),
                seed=arguments.seed,
                num_workers=arguments.workers,
                on_outcome=_tell if arguments.case is None else _tell_all,
            )
    print(make_table(outcomes).text())
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(each) for each in outcomes], indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return int(any(each.verdict in BAD for each in outcomes))


def _tell(outcome: Outcome) -> None:
    if outcome.verdict in BAD:
        _tell_all(outcome)


def _tell_all(outcome: Outcome) -> None:
    print(outcome.line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    for name, part in PARTS.items():
        add(f"--{name}", type=int, default=part.count, metavar="N", help=part.counted)
    add("--seed", type=int, default=0, metavar="S", help="of every case")
    add("--case", type=int, metavar="N", help="this case alone")
    add("--first", type=int, default=0, metavar="N", help="the first case")
    add("--short", action="store_true", help="cases as the tests draw them")
    add("--workers", type=int, default=2, metavar="N", help="processes at a time")
    add("--json", type=Path, metavar="FILE", help="writes every outcome there")
    add("--bases", type=Path, default=Path("build/attack"), metavar="DIR", help="what is attacked")
    return parser


if __name__ == "__main__":
    sys.exit(main())
