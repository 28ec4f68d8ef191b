"""What pegasus-export prints when it is done."""

import io
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_engines.command.report import format_size
from pegasus_export.errors import OutputError
from pegasus_runtime.command_line.messages import escape_controls
from pegasus_runtime.command_line.streams import write_result

if TYPE_CHECKING:
    from rich.console import Console

    from pegasus_export.stages.export import ExportResult
    from pegasus_export.verify.tokens import TokenChanges
    from pegasus_runtime.bundle import Manifest

_UNFIT_SHARE = 0.2  # of all tokens
_SHOWN_LAYERS = 3

__all__ = ["print_tables", "summarize_result", "write_report"]


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


def write_report(result: "ExportResult", folder: Path) -> None:
    """report.json, and layers.svg of a precision that has integers. Raises: OutputError."""
    from pegasus_export.command.layer_picture import draw_layers
    from pegasus_export.stages.restore_layers import LAYER_LIMITS

    manifest = result.bundle.manifest
    layers = {"errors": dict(result.layer_errors), "formats": dict(result.layer_formats)}
    text = json.dumps(summarize_result(result) | {"layers": layers}, indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        if not result.layer_errors:
            return
        picture = draw_layers(
            result.layer_errors,
            result.layer_formats,
            limit=LAYER_LIMITS[_lowest(manifest)],
            title=f"{manifest.source.name}, target {manifest.target}, {_lowest(manifest)}",
        )
        (folder / "layers.svg").write_text(picture, encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"the report cannot be written to {folder} ({err.strerror}): choose another folder; "
            "the bundle is complete"
        ) from err


def print_tables(result: "ExportResult", output: Path) -> None:
    """For people. Raises: ResultError."""
    from rich.console import Console

    screen, text = Console(), io.StringIO()
    console = Console(
        file=text,
        width=screen.width,
        force_terminal=screen.is_terminal,
        highlight=False,
        markup=False,
    )
    _print_all(console, result, escape_controls(str(output)))
    write_result(text.getvalue())


def _print_all(console: "Console", result: "ExportResult", output: str) -> None:
    manifest = result.bundle.manifest
    console.print(
        f"{output}: {manifest.task}, target {manifest.target}, {manifest.precision}",
        soft_wrap=True,
    )
    for note in result.notes:
        console.print(f"note: {escape_controls(note)}", soft_wrap=True)
    _print_files(console, manifest)
    _print_checks(console, result)
    if result.layer_errors:
        console.print(_describe_layers(result.layer_errors), soft_wrap=True)
    if result.changes is not None:
        for line in _describe_changes(result.changes, manifest):
            console.print(line, soft_wrap=True)
    console.print(f"done in {result.seconds:.1f} s")
    if manifest.plans is not None and manifest.plans.version is None:
        console.print(
            f"next: on the device, pegasus-build {shlex.quote(output)}",
            soft_wrap=True,
        )
    elif manifest.target != "onnx" and manifest.task == "summarization":
        quoted = shlex.quote(output)
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


def _describe_layers(errors: "Mapping[str, float]") -> str:
    worst = list(errors.items())[:_SHOWN_LAYERS]
    listed = ", ".join(f"{name} {error:.3f}" for name, error in worst)
    return f"layers that err most, of {len(errors)} in integers: {listed}"


def _lowest(manifest: "Manifest") -> str:
    """The precision that was compared: a bundle in fp32 may have files in int8 beside it."""
    return "int8" if "int8" in manifest.recipe else manifest.precision


def _describe_changes(changes: "TokenChanges", manifest: "Manifest") -> list[str]:
    share = changes.tokens_changed / max(1, changes.tokens)
    lines = [
        f"compared with fp32: {changes.tokens_changed} of {changes.tokens} tokens changed "
        f"({share:.1%}), in {changes.documents_changed} of {changes.documents} summaries; in the "
        f"worst {changes.worst_share:.0%}"
    ]
    if changes.changed_by_batch:
        lines.append(
            f"in a batch, {changes.changed_by_batch} of {changes.documents} summaries are other "
            "than alone"
        )
    if share > _UNFIT_SHARE:
        lines.append(
            f"warning: not fit to use as it is, {_lowest(manifest)} changes {share:.0%} of the "
            "tokens: give documents of your own with --calibration and a limit with "
            "--max-rouge-drop, or take another precision"
        )
    if changes.rouge_drop is not None:
        lines.append(f"ROUGE-L: {changes.rouge_drop:.2f} points below fp32")
    recipe = manifest.recipe.get("int8")
    for key in ("raised_int8", "kept_fp32", "kept_fp16"):
        layers = (recipe if isinstance(recipe, Mapping) else manifest.recipe).get(key, [])
        if isinstance(layers, list) and layers:
            lines.append(f"layers in {key.partition('_')[2]}: {', '.join(map(str, layers))}")
    return lines
