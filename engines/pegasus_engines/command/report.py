"""What pegasus-build prints when it is done."""

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from pegasus_engines.inspect.compare import OutputDifference
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.command_line.messages import escape_controls
from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.native.tensorrt import load_flavour

__all__ = ["format_size", "print_differences", "print_plans", "print_plans_as_json"]


def print_plans(bundle: Bundle, output: Path) -> None:
    """What was built, each file with its size, and what to do with it."""
    plans = bundle.manifest.plans
    assert plans is not None
    library = load_flavour(bundle.manifest.target).title
    names = ", ".join(plans.compute_capabilities)
    lines = [f"{output}: plans of {library} {plans.version} for compute capability {names}"]
    for name, record in sorted(bundle.manifest.files.items()):
        lines.append(f"  {name:<24}{format_size(record.bytes):>10}")
    lines.append(f"next: pegasus-summarize {shlex.quote(str(output))} article.txt")
    write_result("".join(f"{escape_controls(line)}\n" for line in lines))


def print_plans_as_json(bundle: Bundle, output: Path) -> None:
    """What the manifest says of them."""
    plans = bundle.manifest.plans
    assert plans is not None
    record = {"output": str(output), "plans": dataclasses.asdict(plans)}
    write_result(f"{json.dumps(record, indent=2)}\n")


def print_differences(differences: Mapping[str, tuple[OutputDifference, ...]]) -> None:
    """How far plans are from their graphs, an output a line."""
    for graph, outputs in differences.items():
        for each in outputs:
            write_result(
                f"{graph}, {each.output}: largest difference {each.max_abs:.1e}, "
                f"mean {each.mean_abs:.1e}\n"
            )


def format_size(num_bytes: int) -> str:
    """In the unit that leaves one to three digits."""
    value = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
