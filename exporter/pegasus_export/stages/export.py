"""A checkpoint in, a verified bundle out: the stages of an export, in order."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import onnx_ir as ir

from pegasus_engines.plans.build import choose_options
from pegasus_engines.plans.bundle import Check, fill_with_plans
from pegasus_engines.precision.equalisation import find_equalisation
from pegasus_engines.targets import UnavailableError, check_available
from pegasus_export.checkpoint.folder import hash_source
from pegasus_export.errors import OutputError, UnsupportedError, VerificationError
from pegasus_export.measure.activations import Observed, observe_inputs
from pegasus_export.measure.documents import DEFAULT_DOCUMENTS
from pegasus_export.models.activations import HOMOGENEOUS
from pegasus_export.models.loading import equalise_source_values, unload_pegasus
from pegasus_export.request.export import TRANSFORMERS_JS, ExportRequest
from pegasus_export.request.progress import Progress, silent
from pegasus_export.stages.build import Builder
from pegasus_export.stages.choose_shift import choose_residual_shift
from pegasus_export.stages.client_files import write_client_files
from pegasus_export.stages.graph_files import network_weights
from pegasus_export.stages.kernels import KernelCompilation
from pegasus_export.stages.layouts import fill_for_transformers_js
from pegasus_export.stages.prepare import Prepared, prepare
from pegasus_export.stages.restore_layers import raise_worst_layers, restore_layers
from pegasus_export.stages.result import ExportResult
from pegasus_export.stages.text_graph import add_text_graph
from pegasus_export.verify.comparison import Baseline, compare_bundle, make_baseline
from pegasus_export.verify.measure import Measured
from pegasus_export.verify.reference import make_reference
from pegasus_export.verify.tokens import TokenChanges
from pegasus_export.verify.weights import check_weights
from pegasus_runtime.bundle import (
    PLAN_TARGETS,
    Bundle,
    BundleWriter,
    JsonValue,
    Manifest,
    Target,
    write_bundle,
)
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["ExportRequest", "ExportResult", "export_bundle"]

_SHOWN_LAYERS = 8
_GLANCE_TOKENS = 32  # of a summary: enough for a look at texts that are no measurement anyway


def export_bundle(
    request: ExportRequest, progress: Progress = silent, *, check: Check | None = None
) -> ExportResult:
    """Exports one checkpoint; either the whole verified bundle is there afterwards, or nothing.

    check: called with the graphs and the plans built of them, if any are. Raises: ExportError.
    """
    start = time.perf_counter()
    try:
        target = check_available(request.target, request.precision)
        has_plans = target in PLAN_TARGETS and not request.plans.onnx_only
        with _unsupported():
            options = choose_options(target, request.plans.build) if has_plans else None
        with write_bundle(request.output, force=request.force) as staging:
            if request.layout == TRANSFORMERS_JS:
                fill = partial(_fill, target=target, progress=progress, traced={})
                filled = fill_for_transformers_js(staging, request, fill, progress)
                bundle = filled.bundle
            elif options is None:
                for_clients = target == "onnx" or request.generate
                filled = _fill(staging, request, target, progress, for_clients=for_clients)
                bundle = filled.bundle
            else:
                graphs = staging.path / "onnx"
                with write_bundle(graphs) as inner:
                    filled = _fill(inner, request, target, progress)
                with _unsupported():
                    manifest = fill_with_plans(filled.bundle, staging, options, progress, check)
                shutil.rmtree(graphs)
                bundle = staging.commit(manifest)
    except UnavailableError as err:
        raise UnsupportedError(str(err)) from err
    except BundleError as err:
        raise OutputError(str(err)) from err
    except EngineError as err:  # of the verification
        raise VerificationError(f"{err}: report this with the checkpoint's config.json") from err
    except OSError as err:
        raise OutputError(
            f"{request.output} cannot be written ({err.strerror or err}): free some space, "
            "or choose another folder"
        ) from err
    return dataclasses.replace(filled, bundle=bundle, seconds=time.perf_counter() - start)


def _fill(
    staging: BundleWriter,
    request: ExportRequest,
    target: Target,
    progress: Progress,
    *,
    for_clients: bool = False,
    traced: dict[str, ir.Model] | None = None,
) -> ExportResult:
    """for_clients: whether others run the bundle as it is. traced: see `Builder`."""
    prepared = _prepare(staging, request, target, progress)
    with (
        ThreadPoolExecutor(1) as background,
        KernelCompilation(prepared.plugin, staging.path) as kernels,
    ):
        source_hash = background.submit(hash_source, prepared.checkpoint)
        builder = Builder(prepared, staging, source_hash, progress, traced)
        baseline = None
        if prepared.documents:
            with progress("summarise in fp32"):
                outline = builder.outline(prepared.recipe)
                baseline = _make_baseline(prepared, outline, staging.path)
        manifest = _build(builder, baseline, kernels, raises=request.max_rouge_drop is None)
    with progress("compute reference"):
        equalise_source_values(prepared.pegasus, builder.equalisation)
        reference = make_reference(prepared.pegasus, request.precision)
    changes = None
    if baseline is not None and request.max_rouge_drop is not None:
        manifest, changes = restore_layers(
            builder, manifest, baseline, max_rouge_drop=request.max_rouge_drop
        )
    if traced is None:  # whose weights are this network's
        unload_pegasus(prepared.pegasus)  # before the engine maps the bundle
    builder.let_go()
    if baseline is not None and changes is None:
        with progress("compare with fp32"):
            changes = compare_bundle(staging.preview(manifest), baseline, with_rouge=False)
    with progress("verify"):
        measured = prepared.kind.verify(staging.preview(manifest), reference)
        check_weights(staging.preview(manifest), reference.weights)
    figures = _verification(measured, changes, builder.layer_errors)
    manifest = dataclasses.replace(manifest, verification=figures)
    notes: tuple[str, ...] = ()
    if request.text:
        with progress("put text around"):
            manifest, notes = add_text_graph(prepared.checkpoint, staging.preview(manifest))
    return ExportResult(
        bundle=_publish(staging, manifest, progress, for_clients=for_clients),
        measured=measured,
        changes=changes,
        seconds=0.0,
        notes=(*prepared.notes, *notes),
        layer_errors=builder.layer_errors,
        layer_formats=builder.layer_formats,
    )


def _build(
    builder: Builder, baseline: Baseline | None, kernels: KernelCompilation, *, raises: bool
) -> Manifest:
    """raises: whether the worst layers of a lower precision get more bits at once."""
    prepared, progress = builder.prepared, builder.progress
    if prepared.recipe.quantises:
        with progress("equalise"):
            _equalise(builder, baseline)
    manifest = builder.build(prepared.recipe)
    if raises:
        manifest = raise_worst_layers(builder, manifest)
    if prepared.plugin is not None:
        with progress("compile kernels"):
            kernels.write(builder.staging.path / prepared.plugin.spec.kernels)
    return manifest


def _prepare(
    staging: BundleWriter, request: ExportRequest, target: Target, progress: Progress
) -> Prepared:
    with progress("read checkpoint"):
        prepared = prepare(request, target, staging.path)
    if prepared.recipe.is_half:
        with progress("measure residual"):
            prepared = choose_residual_shift(prepared, staging.path)
    return prepared


def _publish(
    staging: BundleWriter, manifest: Manifest, progress: Progress, *, for_clients: bool
) -> Bundle:
    if for_clients:
        with progress("write contract"):
            write_client_files(staging, manifest)
    with progress("publish"):
        return staging.commit(manifest)


@contextlib.contextmanager
def _unsupported() -> Iterator[None]:
    """TensorRT does not build what was asked for, which is no failure of the verification."""
    try:
        yield
    except EngineError as err:
        raise UnsupportedError(str(err)) from err


def _make_baseline(prepared: Prepared, manifest: Manifest, folder: Path) -> Baseline:
    spec = manifest.tokenizer
    assert spec is not None  # of every task that summarises
    return make_baseline(
        prepared.pegasus,
        Tokenizer.load(folder / spec.file, spec),
        prepared.documents,
        manifest=manifest,
        max_length=_GLANCE_TOKENS if prepared.documents == DEFAULT_DOCUMENTS else None,
    )


def _equalise(builder: Builder, baseline: Baseline | None) -> None:
    """By the documents and the checkpoint's own summaries of them, if there are any."""
    pegasus, config = builder.prepared.pegasus, builder.prepared.checkpoint.config
    observed = Observed()
    if baseline is not None:
        observed = observe_inputs(pegasus, baseline.sources, baseline.summaries)
    builder.equalisation = find_equalisation(
        network_weights(pegasus),
        observed.largest,
        through_activation=config.activation_function in HOMOGENEOUS,
        hands_out_states=builder.prepared.target == "onnx",
    )
    builder.observed = observed.equalised(builder.equalisation)


def _verification(
    measured: Sequence[Measured], changes: TokenChanges | None, layer_errors: Mapping[str, float]
) -> dict[str, JsonValue]:
    figures: dict[str, JsonValue] = {
        each.graph: {
            "error": each.error,
            "fp32_error": each.fp32_error,
            "tolerance": each.tolerance,
        }
        for each in measured
    }
    if changes is not None:
        figures["summaries"] = dict(dataclasses.asdict(changes))
    if layer_errors:
        figures["worst_layers"] = dict(list(layer_errors.items())[:_SHOWN_LAYERS])
    return figures
