"""Everything that can be refused before the work begins, and the checkpoint itself."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers, match_layers
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.folder import Checkpoint, open_checkpoint
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.measure.documents import CalibrationDocument, choose_documents
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.request.export import RANDOM_BLOCKS, TRANSFORMERS_JS, ExportRequest
from pegasus_export.stages.bundle_kinds import BundleKind, find_kind, resolve_task
from pegasus_export.stages.defaults import GENERATING, fit_defaults, settle_defaults
from pegasus_export.stages.kernels import ChosenPlugin, choose_plugin
from pegasus_export.stages.limits import any_size_limits, plan_limits, plan_spec
from pegasus_export.stages.text_graph import check_text_graph
from pegasus_export.stages.tokenizer_files import write_tokenizer
from pegasus_export.stages.whole_generation import (
    check_generate,
    settle_generation,
    with_generation,
)
from pegasus_runtime.bundle import (
    PLAN_TARGETS,
    Limits,
    PlanSpec,
    Target,
    Task,
    TokenIds,
    TokenizerSpec,
)

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A request that can be met, and what it takes."""

    checkpoint: Checkpoint
    pegasus: Pegasus
    target: Target
    task: Task
    kind: BundleKind
    recipe: PrecisionRecipe
    """Of its precision."""
    tokenizer: TokenizerSpec | None
    limits: Limits
    plans: PlanSpec | None
    """For targets of TensorRT."""
    plugin: ChosenPlugin | None
    """That plans call, if they do."""
    random_blocks: str
    tokens: TokenIds
    defaults: Mapping[str, object]
    """Of generation, within the limits."""
    notes: tuple[str, ...]
    """On what was read otherwise than the files say it."""
    documents: tuple[CalibrationDocument, ...]
    """To compare precisions on; none for fp32, and for tasks that summarise nothing."""


def prepare(request: ExportRequest, target: Target, folder: Path) -> Prepared:
    """Reads the checkpoint, and puts the files that stay as they are into the bundle's folder.

    Raises: CheckpointError, UnsupportedError, CalibrationError.
    """
    checkpoint = open_checkpoint(request.model, revision=request.revision, adapter=request.adapter)
    task = resolve_task(checkpoint.architecture, request.task)
    settled = settle_defaults(checkpoint, task, task_params=request.task_params)
    checkpoint = settled.checkpoint
    _check_request(request, checkpoint, target, task)
    documents = _calibration_documents(request, task, target, checkpoint)
    max_source_tokens = request.max_source_tokens or checkpoint.config.max_position_embeddings
    has_plans = target in PLAN_TARGETS
    if has_plans:
        limits = plan_limits(checkpoint, request.plans, max_source_tokens)
    else:
        limits = any_size_limits(checkpoint, task, max_source_tokens)
    defaults: Mapping[str, object] = checkpoint.generation
    if task in GENERATING and (target != "onnx" or request.generate):  # which others run
        defaults = fit_defaults(settled, task, limits, clip=has_plans)
    plugin = choose_plugin(request, checkpoint) if target == "trt" else None
    beams, with_plugin = limits.max_beams, plugin is not None
    kind = find_kind(target, task, request.precision, num_beams=beams, with_plugin=with_plugin)
    if request.generate:
        fixed = settle_generation(defaults, settled.tokens, limits, checkpoint.config.vocab_size)
        kind = with_generation(kind, target, fixed, single_file=request.single_file)
    plugin_spec = None if plugin is None else plugin.spec
    tokenizer = write_tokenizer(checkpoint, folder, task, target, for_hosts=request.generate)
    if tokenizer is None and documents:
        _check_comparison(request, checkpoint)
        documents = ()
    if target == "onnx":
        _write_settings(checkpoint, settled.original, folder)
    pegasus = load_pegasus(
        checkpoint,
        max_source_tokens=max_source_tokens,
        max_target_tokens=limits.max_target_tokens,
        seeded=request.random_blocks == "seeded",
    )
    return Prepared(
        checkpoint=checkpoint,
        pegasus=pegasus,
        target=target,
        task=task,
        kind=kind,
        recipe=_precision_recipe(request, target, pegasus),
        tokenizer=tokenizer,
        limits=limits,
        plans=plan_spec(checkpoint, limits, plugin_spec) if has_plans else None,
        plugin=plugin,
        random_blocks=request.random_blocks,
        tokens=settled.tokens,
        defaults=defaults,
        notes=(*checkpoint.notes, *settled.notes),
        documents=documents,
    )


def _check_request(
    request: ExportRequest, checkpoint: Checkpoint, target: Target, task: Task
) -> None:
    if request.generate:
        check_generate(target, task, request.precision)
    if request.text:
        check_text_graph(checkpoint)
    _check_layout(request, task)
    _check_source_limit(request, task)
    _check_sparse(request, checkpoint)
    _check_classifier(checkpoint, task)


def _precision_recipe(request: ExportRequest, target: Target, pegasus: Pegasus) -> PrecisionRecipe:
    try:
        kept = match_layers(find_layers(pegasus.state_dict()), request.keep_fp32)
    except ValueError as err:
        raise UnsupportedError(f"--keep-fp32: {err}") from err
    # Other runtimes get the layers as the checkpoint has them.
    fuses = target == "ort" and request.precision != "fp16"
    return PrecisionRecipe(
        name=request.precision, target=target, kept=kept, fuses_projections=fuses
    )


def _calibration_documents(
    request: ExportRequest, task: Task, target: Target, checkpoint: Checkpoint
) -> tuple[CalibrationDocument, ...]:
    if request.precision == "fp32":
        return ()
    is_compared = target != "onnx" or request.precision == "int8"
    if task == "summarization" and is_compared:
        recipe = PrecisionRecipe(name=request.precision, target=target)
        return choose_documents(
            request.calibration,
            checkpoint.folder,
            measured=recipe.measures_activations,
            rounded=request.precision == "int4",
        )
    if request.calibration is not None or request.max_rouge_drop is not None:
        what = (
            f"which {task} does not write"
            if is_compared
            else "of which target onnx has none in fp16"
        )
        raise UnsupportedError(
            f"--calibration and --max-rouge-drop compare summaries, {what}: leave them out"
        )
    return ()


def _check_comparison(request: ExportRequest, checkpoint: Checkpoint) -> None:
    """Without a tokenizer of ours no summaries can be compared."""
    if request.calibration is not None or request.max_rouge_drop is not None:
        raise UnsupportedError(
            f"--calibration and --max-rouge-drop compare summaries, and the tokenizer of "
            f"{checkpoint.name} is not known: leave them out"
        )
    checkpoint.notes.append("its tokenizer is not known: summaries are not compared with fp32's")


def _check_layout(request: ExportRequest, task: Task) -> None:
    if request.layout == TRANSFORMERS_JS and task != "summarization":
        raise UnsupportedError(
            f"--layout {TRANSFORMERS_JS} is for summarization, not for {task}: leave it out"
        )


def _check_source_limit(request: ExportRequest, task: Task) -> None:
    if task == "text-generation" and request.max_source_tokens is not None:
        raise UnsupportedError(
            "max-source-tokens has no meaning for text-generation, which reads no source: "
            "leave it out"
        )


def _check_sparse(request: ExportRequest, checkpoint: Checkpoint) -> None:
    has_encoder = ARCHITECTURES[checkpoint.architecture].encoder
    is_sparse = checkpoint.config.block_sparse is not None and has_encoder
    if request.random_blocks != RANDOM_BLOCKS[0] and not is_sparse:
        raise UnsupportedError(
            f"--random-blocks is for block-sparse encoders, which {checkpoint.name} has not: "
            "leave it out"
        )
    if request.block_sparse is not None and not is_sparse:
        raise UnsupportedError(
            f"--block-sparse is for block-sparse encoders, which {checkpoint.name} has not: "
            "leave it out"
        )


def _check_classifier(checkpoint: Checkpoint, task: Task) -> None:
    config = checkpoint.config
    if task != "text-classification":
        return
    if len(config.eos_token_ids) != 1:
        raise UnsupportedError(
            f"{checkpoint.name} has {len(config.eos_token_ids)} EOS tokens, a text is classified "
            "at its one: set eos_token_id in config.json"
        )
    if len(set(config.labels)) < len(config.labels):
        raise CheckpointError(
            f"{checkpoint.folder}: two labels in id2label are the same: correct config.json"
        )


def _write_settings(checkpoint: Checkpoint, generation: Mapping[str, object], folder: Path) -> None:
    """Those that other people's loaders look for beside the graphs."""
    shutil.copyfile(checkpoint.folder / "config.json", folder / "config.json")
    text = json.dumps(dict(generation), indent=2)
    (folder / "generation_config.json").write_text(text + "\n", encoding="utf-8")
