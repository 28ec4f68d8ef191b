"""What pegasus-export prints when it is done."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_engines.command.report import format_size

if TYPE_CHECKING:
    from rich.console import Console

    from pegasus_export.stages.export import ExportResult
    from pegasus_export.verify.tokens import TokenChanges
    from pegasus_runtime.bundle import Manifest

__all__ = ["print_tables", "summarize_result"]


def summarize_result(result: "ExportResult") -> dict[str, object]:
    manifest = result.bundle.manifest
    return {
        "output": str(result.bundle.folder),
        "task": manifest.task,
        "target": manifest.target,
        "precision": manifest.precision,
        "seconds": round(result.seconds, 2),
        "files": {name: record.bytes for name, record in sorted(manifest.files.items())},
        "recipe": manifest.recipe,
        "verification": manifest.verification,
        "notes": list(result.notes),
    }


def print_tables(result: "ExportResult", output: Path) -> None:
    from rich.console import Console

    manifest = result.bundle.manifest
    console = Console(highlight=False, markup=False)
    console.print(
        f"{output}: {manifest.task}, target {manifest.target}, {manifest.precision}",
        soft_wrap=True,
    )
    for note in result.notes:
        console.print(f"note: {note}", soft_wrap=True)
    _print_files(console, manifest)
    _print_checks(console, result)
    if result.changes is not None:
        for line in _describe_changes(result.changes, manifest):
            console.print(line, soft_wrap=True)
    console.print(f"done in {result.seconds:.1f} s")
    if manifest.plans is not None and manifest.plans.version is None:
        console.print(
            f"next: on the device, pegasus-build {shlex.quote(str(output))}",
            soft_wrap=True,
        )
    elif manifest.target != "onnx" and manifest.task == "summarization":
        quoted = shlex.quote(str(output))
        console.print(f"next: pegasus-summarize {quoted} article.txt", soft_wrap=True)


def _print_files(console: "Console", manifest: "Manifest") -> None:
    from rich import box
    from rich.table import Table

    table = Table("file", box=box.SIMPLE)
    table.add_column("size", justify="right")
    for name, record in sorted(manifest.files.items()):
        table.add_row(name, format_size(record.bytes))
    table.add_section()
    table.add_row("total", format_size(sum(record.bytes for record in manifest.files.values())))
    console.print(table)


def _print_checks(console: "Console", result: "ExportResult") -> None:
    from rich import box
    from rich.table import Table

    table = Table("checked against the checkpoint in float64", box=box.SIMPLE)
    table.add_column("error", justify="right")
    table.add_column("torch fp32", justify="right")
    table.add_column("allowed", justify="right")
    for each in result.measured:
        figures = (each.error, each.fp32_error, each.tolerance)
        table.add_row(each.graph, *(f"{figure:.1e}" for figure in figures))
    console.print(table)


def _describe_changes(changes: "TokenChanges", manifest: "Manifest") -> list[str]:
    share = changes.tokens_changed / max(1, changes.tokens)
    lines = [
        f"compared with fp32: {changes.tokens_changed} of {changes.tokens} tokens changed "
        f"({share:.1%}), in {changes.documents_changed} of {changes.documents} summaries"
    ]
    if changes.rouge_drop is not None:
        lines.append(f"ROUGE-L: {changes.rouge_drop:.2f} points below fp32")
    for precision in ("fp32", "fp16"):
        kept = manifest.recipe.get(f"kept_{precision}", [])
        if isinstance(kept, list) and kept:
            lines.append(f"layers in {precision}: {', '.join(map(str, kept))}")
    return lines
