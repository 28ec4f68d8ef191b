"""Checks of a graph, node by node, with `polygraphy check lint`: each node runs in ONNX Runtime."""

import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.child_python import child_python
from pegasus_runtime.native.ort import silence_onnxruntime

__all__ = ["Finding", "lint_graph"]

# A process of its own: Polygraphy redirects the standard streams, of all threads, while it lints.
_COMMAND = child_python("from polygraphy.tools import main; sys.exit(main())")
_NEEDED = ("polygraphy", "onnx_graphsurgeon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a graph.

    level: "exception", "warning" or "info"; source: what found it, such as "onnxruntime"; nodes:
    names of those concerned, none if it is the graph as a whole.
    """

    level: str
    source: str
    message: str
    nodes: tuple[str, ...] = ()


def lint_graph(
    graph: Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> tuple[Finding, ...]:
    """What Polygraphy finds wrong with a graph; nodes behind a faulty one are not checked.

    shapes: input -> its shape; dynamic dimensions of others are 1. External data lie beside the
    graph. Weights and activations are all held in memory.
    Raises: EngineError if Polygraphy is not installed, or cannot check the graph.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise EngineError(f"{name} is not installed: pip install polygraphy onnx-graphsurgeon")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [*_COMMAND, "check", "lint", str(graph), "--output", str(report)]
        if shapes:
            given = [f"{name}:[{','.join(map(str, shape))}]" for name, shape in shapes.items()]
            command += ["--input-shapes", *given]
        silence_onnxruntime()  # which Polygraphy imports
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            last = (f"{done.stdout}\n{done.stderr}".split("\n[!]")[-1]).split()
            raise EngineError(f"{graph}: Polygraphy cannot check it: {' '.join(last)}")
        entries = json.loads(report.read_text(encoding="utf-8"))["lint_entries"]
    return tuple(_finding(entry) for entry in entries)


def _finding(entry: Mapping[str, Any]) -> Finding:
    return Finding(
        level=entry["level"],
        source=entry["source"],
        message=" ".join(entry["message"].split()),
        nodes=tuple(entry.get("nodes", ())),
    )
