"""The process that tries cases of one part, until one ends it: python -m attack.worker.

Numbers of cases come in through one pipe, outcomes go out through another: standard input and
output are the product's.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from attack.bases import Bases

__all__ = ["main"]

MORE_BYTES = 12 * 2**30
"""Addresses that a case may take beyond those of the libraries: stacks of a thousand threads. How
much it really uses is what `attack.pool` watches."""


def main(arguments: list[str]) -> None:
    """arguments: part, the bases' folder, "short" or "all", folder to work in, the pipes."""
    part, root, kind, folder, read, write = arguments
    module = importlib.import_module(f"attack.{part}")
    bases = Bases(root=Path(root), short=kind == "short")
    module.prepare(bases)
    _limit_memory()
    with open(int(read), encoding="utf-8") as asked, open(int(write), "w") as told:
        print("ready", file=told, flush=True)
        for line in asked:
            request = json.loads(line)
            outcome = module.try_case(bases, Path(folder), request["seed"], request["case"])
            print(json.dumps(asdict(outcome)), file=told, flush=True)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
