"""pegasus-export: a PEGASUS checkpoint to a bundle."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_export.errors import ExportError, VerificationError

if TYPE_CHECKING:
    from pegasus_export.export import ExportRequest, ExportResult

__all__ = ["main"]

EXIT_VERIFICATION = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130

_DESCRIPTION = """\
Export a PEGASUS checkpoint to a bundle: ONNX graphs, weights, tokenizer and a manifest.

The bundle is checked against the checkpoint before it appears under --output; if the check
fails, or anything else does, nothing is left behind.
"""
_EPILOG = """\
examples:
  pegasus-export --model google/pegasus-xsum --output xsum
  pegasus-export --model ./my-checkpoint --target onnx --output my-onnx   # for Optimum
  pegasus-summarize xsum article.txt

targets:
  ort    for ONNX Runtime, with pegasus-summarize or pegasus_runtime (the default)
  onnx   standard operators and Optimum's file names, for ORTModelForSeq2SeqLM and others

exit codes: 0 done, 1 the bundle failed its check, 2 the request or the checkpoint is unusable
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except VerificationError as err:
        return _fail(str(err), EXIT_VERIFICATION)
    except ExportError as err:
        return _fail(str(err), EXIT_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted: nothing was written", EXIT_INTERRUPTED)


def _run(arguments: argparse.Namespace) -> int:
    try:
        from pegasus_export.export import ExportRequest, export_bundle
        from pegasus_export.progress import choose_progress
    except ImportError as err:
        return _fail(f"{err.name} is not installed: pip install 'pegasus-edge[export]'", EXIT_INPUT)
    request = ExportRequest(
        model=arguments.model,
        output=arguments.output,
        target=arguments.target,
        precision=arguments.precision,
        task=arguments.task,
        max_source_tokens=arguments.max_source_tokens,
        revision=arguments.revision,
        force=arguments.force,
    )
    progress = choose_progress(quiet=arguments.quiet or arguments.json)
    result = export_bundle(request, progress)
    if arguments.json:
        print(json.dumps(_summary(result), indent=2))
    elif not arguments.quiet:
        _print_tables(request, result)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pegasus-export",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, metavar="PATH_OR_HUB_ID", help="checkpoint folder or hub id")
    add("--output", required=True, type=Path, metavar="DIR", help="folder of the new bundle")
    add("--target", default="ort", metavar="{ort,onnx}", help="engine to build for (default: ort)")
    add("--precision", default="fp32", metavar="{fp32}", help="of the weights (default: fp32)")
    add(
        "--task",
        metavar="{summarization,feature-extraction,text-generation}",
        help="default: what the architecture named in config.json is made for",
    )
    add(
        "--max-source-tokens",
        type=_source_tokens,
        metavar="N",
        help="longest source, EOS included (default: the checkpoint's positions); more is "
        "possible, as PEGASUS positions are sinusoids, but the model was not trained on it",
    )
    add("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    add("--force", action="store_true", help="replace the bundle at --output")
    add("--json", action="store_true", help="print the result as JSON, and no progress")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def _source_tokens(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 2:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer of at least 2")
    return count


def _summary(result: "ExportResult") -> dict[str, object]:
    manifest = result.bundle.manifest
    return {
        "output": str(result.bundle.folder),
        "task": manifest.task,
        "target": manifest.target,
        "precision": manifest.precision,
        "seconds": round(result.seconds, 2),
        "files": {name: record.bytes for name, record in sorted(manifest.files.items())},
        "verification": manifest.verification,
    }


def _print_tables(request: "ExportRequest", result: "ExportResult") -> None:
    from rich.console import Console
    from rich.table import Table

    manifest = result.bundle.manifest
    console = Console(highlight=False)
    files = Table("file", title=f"{request.output}: {manifest.task}, {manifest.precision}")
    files.add_column("size", justify="right")
    for name, record in sorted(manifest.files.items()):
        files.add_row(name, _size(record.bytes))
    files.add_section()
    files.add_row("total", _size(sum(record.bytes for record in manifest.files.values())))
    console.print(files)
    checks = Table("graph", title="verified against the checkpoint")
    checks.add_column("largest error", justify="right")
    checks.add_column("tolerance", justify="right")
    for each in result.measured:
        checks.add_row(each.graph, f"{each.max_error:.1e}", f"{each.tolerance:.0e}")
    console.print(checks)
    console.print(f"done in {result.seconds:.1f} s")
    if manifest.target == "ort" and manifest.task == "summarization":
        console.print(f"next: pegasus-summarize {request.output} article.txt", soft_wrap=True)


def _size(num_bytes: int) -> str:
    value = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def _fail(message: str, code: int) -> int:
    print(f"pegasus-export: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
