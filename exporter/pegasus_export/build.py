"""The bundle's graphs, weights and manifest, in one recipe or several in turn."""

import importlib.metadata
import json
from collections.abc import Mapping
from concurrent.futures import Future

from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_export.architectures import ARCHITECTURES
from pegasus_export.checkpoint import Checkpoint
from pegasus_export.graph_files import TracedGraphs, network_weights, trace_graphs, write_graphs
from pegasus_export.prepare import Prepared
from pegasus_export.progress import Progress
from pegasus_runtime.bundle import (
    Activation,
    Architecture,
    BundleWriter,
    ClassifierSpec,
    JsonValue,
    Limits,
    Manifest,
    Source,
    Task,
    TokenIds,
)

__all__ = ["Builder"]

MAX_BEAMS = 32
_TOOLS = ("pegasus-edge", "torch", "onnx", "onnxscript", "onnxruntime")


class Builder:
    """Fills the staging folder; the graphs are traced once, whatever recipes they are built in."""

    def __init__(
        self,
        prepared: Prepared,
        staging: BundleWriter,
        source_hash: Future[str],
        progress: Progress,
    ) -> None:
        self.prepared = prepared
        self.staging = staging
        self.source_hash = source_hash
        self.progress = progress
        self._traced: TracedGraphs | None = None

    def build(self, precision: PrecisionRecipe) -> Manifest:
        """Writes graphs and weights; what is measured of them is not in the manifest yet."""
        prepared = self.prepared
        written = write_graphs(
            self._trace,
            network_weights(prepared.pegasus),
            precision,
            self.staging,
            prepared.recipe.weights_file,
            self.progress,
        )
        checkpoint = prepared.checkpoint
        return Manifest(
            task=prepared.task,
            target=prepared.target,
            precision=precision.precision,
            architecture=_architecture(checkpoint, prepared.random_blocks),
            classifier=_classifier(checkpoint, prepared.task),
            graphs=written.graphs,
            tables=written.tables,
            tokenizer=prepared.tokenizer,
            token_ids=_token_ids(checkpoint),
            limits=Limits(
                max_source_tokens=prepared.max_source_tokens,
                max_target_tokens=checkpoint.config.max_position_embeddings,
                max_beams=MAX_BEAMS,
            ),
            source=Source(name=checkpoint.name, sha256=self.source_hash.result()),
            recipe=precision.describe(),
            generation=_json_mapping(checkpoint.generation),
            tools={name: importlib.metadata.version(name) for name in _TOOLS},
        )

    def _trace(self) -> TracedGraphs:
        if self._traced is None:
            definitions = self.prepared.recipe.graphs(self.prepared.pegasus)
            self._traced = trace_graphs(definitions, self.progress)
        return self._traced


def _architecture(checkpoint: Checkpoint, random_blocks: str) -> Architecture:
    config = checkpoint.config
    has_encoder = ARCHITECTURES[checkpoint.architecture].encoder
    sparse = config.block_sparse if has_encoder else None
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
        attention_type="full" if sparse is None else "block_sparse",
        block_size=None if sparse is None else sparse.block_size,
        num_random_blocks=None if sparse is None else sparse.num_random_blocks,
        random_blocks=None if sparse is None else random_blocks,
    )


def _classifier(checkpoint: Checkpoint, task: Task) -> ClassifierSpec | None:
    """Scores as in transformers' text-classification pipeline."""
    if task != "text-classification":
        return None
    labels, problem = checkpoint.config.labels, checkpoint.config.problem_type
    activation: Activation = "softmax"
    if problem == "regression":
        activation = "none"
    elif problem == "multi_label_classification" or len(labels) == 1:
        activation = "sigmoid"
    return ClassifierSpec(labels=labels, activation=activation)


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
