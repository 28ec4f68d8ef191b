"""A bundle whose files lie as another library looks for them, made of verified ones."""

import dataclasses
import shutil
from collections.abc import Callable

from pegasus_export.clients.transformers_js import SUFFIXES, arrange_for_transformers_js
from pegasus_export.request.export import ExportRequest
from pegasus_export.request.progress import Progress
from pegasus_export.stages.client_files import write_client_files
from pegasus_export.stages.result import ExportResult
from pegasus_export.verify.measure import Measured
from pegasus_runtime.bundle import BundleWriter, write_bundle

__all__ = ["fill_for_transformers_js"]

_NOTE = (
    "transformers.js searches with one beam alone: num_beams of generation_config.json is 1; "
    "config.json calls the model bart, whose fields it reads"
)


def fill_for_transformers_js(
    staging: BundleWriter,
    request: ExportRequest,
    fill: Callable[[BundleWriter, ExportRequest], ExportResult],
    progress: Progress,
) -> ExportResult:
    """In the precision that was asked for, and in int8 beside fp32.

    fill: exports to a folder of its own. Raises: ExportError, OSError.
    """
    parts = staging.path / "parts"
    filled = []
    for part in _parts(request):
        with write_bundle(parts / part.precision) as inner:
            filled.append(fill(inner, part))
    with progress("arrange files"):
        manifest = arrange_for_transformers_js([each.bundle for each in filled], staging)
        shutil.rmtree(parts)
    with progress("write contract"):
        write_client_files(staging, manifest)
    with progress("publish"):
        bundle = staging.commit(manifest)
    measured = [each for part in filled for each in _measured(part)]
    return dataclasses.replace(
        filled[-1],
        bundle=bundle,
        measured=[each for each in measured if each.graph in manifest.graphs],
        notes=(*dict.fromkeys(note for part in filled for note in part.notes), _NOTE),
    )


def _parts(request: ExportRequest) -> list[ExportRequest]:
    """One for each precision."""
    if request.precision != "fp32":
        return [request]
    plain = dataclasses.replace(request, keep_fp32=(), calibration=None, max_rouge_drop=None)
    return [plain, dataclasses.replace(request, precision="int8")]


def _measured(part: ExportResult) -> list[Measured]:
    suffix = SUFFIXES[part.bundle.manifest.precision]
    return [dataclasses.replace(each, graph=f"{each.graph}{suffix}") for each in part.measured]
