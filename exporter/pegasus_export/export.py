"""A checkpoint in, a verified bundle out: the stages of an export, in order."""

import dataclasses
import importlib.metadata
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from pegasus_engines.targets import UnavailableError, check_available
from pegasus_engines.weights import WeightsFile
from pegasus_export.checkpoint import Checkpoint, hash_source, open_checkpoint
from pegasus_export.errors import (
    CheckpointError,
    OutputError,
    UnsupportedError,
    VerificationError,
)
from pegasus_export.graphs.table import Recipe, find_recipe, resolve_task
from pegasus_export.models.loading import load_pegasus, unload_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.progress import Advance, Progress, silent
from pegasus_export.trace import trace_graph
from pegasus_export.verify.measure import Measured
from pegasus_export.verify.reference import make_reference
from pegasus_runtime.bundle import (
    Architecture,
    Bundle,
    BundleWriter,
    GraphSpec,
    JsonValue,
    Limits,
    Manifest,
    Source,
    Target,
    Task,
    TensorSpec,
    TokenIds,
    TokenizerSpec,
    write_bundle,
)
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.search.unsupported import unsupported_defaults
from pegasus_runtime.tokenizer import Tokenizer

__all__ = ["ExportRequest", "ExportResult", "export_bundle"]

MAX_BEAMS = 32
TOKENIZER_OFFSET = 103
_COMPANIONS = ("config.json", "tokenizer_config.json", "special_tokens_map.json")
_TOOLS = ("pegasus-edge", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What pegasus-export was asked for."""

    model: str
    """Checkpoint folder or Hugging Face hub id."""
    output: Path
    target: str = "ort"
    precision: str = "fp32"
    task: str | None = None
    """None: the one that the checkpoint's architecture is made for."""
    max_source_tokens: int | None = None
    """None: the checkpoint's number of positions."""
    revision: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What came out."""

    bundle: Bundle
    measured: Sequence[Measured]
    seconds: float


def export_bundle(request: ExportRequest, progress: Progress = silent) -> ExportResult:
    """Exports one checkpoint; either the whole verified bundle is there afterwards, or nothing.

    Raises: ExportError.
    """
    start = time.perf_counter()
    try:
        target = check_available(request.target, request.precision)
        with write_bundle(request.output, force=request.force) as staging:
            bundle, measured = _fill(staging, request, target, progress)
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
    return ExportResult(bundle=bundle, measured=measured, seconds=time.perf_counter() - start)


def _fill(
    staging: BundleWriter, request: ExportRequest, target: Target, progress: Progress
) -> tuple[Bundle, Sequence[Measured]]:
    with progress("read checkpoint"):
        checkpoint = open_checkpoint(request.model, revision=request.revision)
        task = resolve_task(checkpoint.architecture, request.task)
        _check_generation(checkpoint, task)
        _check_source_limit(request, task)
        max_source_tokens = request.max_source_tokens or checkpoint.config.max_position_embeddings
        tokenizer = _copy_tokenizer(checkpoint, staging.path, task)
        pegasus = load_pegasus(checkpoint, max_source_tokens=max_source_tokens)
    recipe = find_recipe(target, task)
    with ThreadPoolExecutor(1) as background:
        graphs = _write_graphs(pegasus, recipe, staging, progress, background)
        source_hash = background.submit(hash_source, checkpoint)
        with progress("compute reference"):
            reference = make_reference(pegasus)
    unload_pegasus(pegasus)  # before the engine maps the bundle
    if target == "onnx":
        _copy_companions(checkpoint, staging.path)
    manifest = Manifest(
        task=task,
        target=target,
        precision=request.precision,
        architecture=_architecture(checkpoint),
        graphs=graphs,
        tokenizer=tokenizer,
        token_ids=_token_ids(checkpoint),
        limits=Limits(
            max_source_tokens=max_source_tokens,
            max_target_tokens=checkpoint.config.max_position_embeddings,
            max_beams=MAX_BEAMS,
        ),
        source=Source(name=checkpoint.name, sha256=source_hash.result()),
        generation=_json_mapping(checkpoint.generation),
        tools={name: importlib.metadata.version(name) for name in _TOOLS},
    )
    with progress("verify"):
        measured = recipe.verify(staging.preview(manifest), reference)
    with progress("publish"):
        bundle = staging.commit(_with_verification(manifest, measured))
    return bundle, measured


def _write_graphs(
    pegasus: Pegasus,
    recipe: Recipe,
    staging: BundleWriter,
    progress: Progress,
    background: ThreadPoolExecutor,
) -> dict[str, GraphSpec]:
    """Traces all graphs, while the weights that they share are written in the background."""
    stacks = {
        name: tensor.numpy()
        for name, tensor in pegasus.state_dict().items()
        if name.startswith("model.") and name not in pegasus.unused_names()
    }
    models = {}
    with WeightsFile(staging.path / recipe.weights_file) as weights:
        written = background.submit(weights.write, stacks)
        for definition in recipe.graphs(pegasus):
            with progress(f"trace {definition.name}"):
                models[definition.name] = trace_graph(definition)
        total_bytes = sum(array.nbytes for array in stacks.values())
        with progress("write weights", total_bytes) as advance:
            _await_weights(written, weights, advance)
            for name, model in models.items():
                weights.move_in(model)
                ir.save(model, staging.path / f"{name}.onnx")
    staging.record(recipe.weights_file, sha256=weights.sha256)
    return {name: _graph_spec(name, model) for name, model in models.items()}


def _await_weights(written: Future[None], weights: WeightsFile, advance: Advance) -> None:
    """Shows how the writing gets on; raises what it raised."""
    shown = 0
    while not written.done():
        wait([written], timeout=0.1)
        done = weights.num_bytes
        advance(done - shown)
        shown = done
    written.result()


def _graph_spec(name: str, model: ir.Model) -> GraphSpec:
    def specs(values: Sequence[ir.Value]) -> tuple[TensorSpec, ...]:
        return tuple(_tensor_spec(value) for value in values)

    return GraphSpec(
        file=f"{name}.onnx", inputs=specs(model.graph.inputs), outputs=specs(model.graph.outputs)
    )


def _tensor_spec(value: ir.Value) -> TensorSpec:
    assert value.name is not None
    assert value.dtype is not None
    assert value.shape is not None
    shape = tuple(dim if isinstance(dim, int) else str(dim.value) for dim in value.shape)
    return TensorSpec(name=value.name, dtype=value.dtype.numpy().name, shape=shape)


def _check_source_limit(request: ExportRequest, task: Task) -> None:
    if task == "text-generation" and request.max_source_tokens is not None:
        raise UnsupportedError(
            "max-source-tokens has no meaning for text-generation, which reads no source: "
            "leave it out"
        )


def _check_generation(checkpoint: Checkpoint, task: Task) -> None:
    if task == "feature-extraction":
        return
    names = unsupported_defaults(checkpoint.generation)
    if names:
        raise UnsupportedError(
            f"{checkpoint.name} generates with {', '.join(names)}, which pegasus-edge does not "
            "offer: remove it from generation_config.json (or config.json) to export without it"
        )


def _copy_tokenizer(checkpoint: Checkpoint, folder: Path, task: Task) -> TokenizerSpec | None:
    if checkpoint.spiece is None:
        if task != "summarization":
            return None
        raise CheckpointError(
            f"{checkpoint.folder} has no spiece.model, which summarization needs: "
            "copy it from the model that the checkpoint was trained from"
        )
    try:
        vocab_size = Tokenizer.load(checkpoint.spiece, "pegasus").vocab_size
    except BundleError as err:
        raise CheckpointError(str(err)) from err
    if vocab_size > checkpoint.config.vocab_size:
        raise CheckpointError(
            f"{checkpoint.spiece} has {vocab_size} tokens, the model {checkpoint.config.vocab_size}"
            ": take the spiece.model that the checkpoint was trained with"
        )
    shutil.copyfile(checkpoint.spiece, folder / "spiece.model")
    return TokenizerSpec(file="spiece.model", layout="pegasus", offset=TOKENIZER_OFFSET)


def _copy_companions(checkpoint: Checkpoint, folder: Path) -> None:
    """The small files that other people's loaders look for beside the graphs."""
    for name in _COMPANIONS:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    text = json.dumps(dict(checkpoint.generation), indent=2)
    (folder / "generation_config.json").write_text(text + "\n", encoding="utf-8")


def _architecture(checkpoint: Checkpoint) -> Architecture:
    config = checkpoint.config
    has_encoder = checkpoint.architecture != "PegasusForCausalLM"
    return Architecture(
        model_type=checkpoint.model_type,
        architecture=checkpoint.architecture,
        vocab_size=config.vocab_size,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers if has_encoder else 0,
        decoder_layers=config.decoder_layers,
        encoder_heads=config.encoder_attention_heads if has_encoder else 0,
        decoder_heads=config.decoder_attention_heads,
        head_dim=config.d_model // config.decoder_attention_heads,
        max_position_embeddings=config.max_position_embeddings,
    )


def _token_ids(checkpoint: Checkpoint) -> TokenIds:
    config = checkpoint.config
    return TokenIds(
        pad_token_id=config.pad_token_id,
        eos_token_ids=config.eos_token_ids,
        decoder_start_token_id=config.decoder_start_token_id,
    )


def _json_mapping(values: Mapping[str, object]) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = json.loads(json.dumps(dict(values)))
    return result


def _with_verification(manifest: Manifest, measured: Sequence[Measured]) -> Manifest:
    figures: dict[str, JsonValue] = {
        each.graph: {"max_error": each.max_error, "tolerance": each.tolerance} for each in measured
    }
    return dataclasses.replace(manifest, verification=figures)
