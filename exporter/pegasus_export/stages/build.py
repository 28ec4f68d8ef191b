"""The bundle's graphs, weights and manifest, by one recipe or several in turn."""

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Mapping
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision.convert import (
    ContribConversion,
    Conversion,
    HalfConversion,
    PlanConversion,
)
from pegasus_engines.precision.equalisation import Equalisation, EqualisedWeights
from pegasus_engines.precision.fp16 import HalfRangeError
from pegasus_engines.precision.recipe import Format, PrecisionRecipe, find_layers
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.measure.activations import Observed
from pegasus_export.measure.layer_errors import measure_layers
from pegasus_export.request.progress import Progress
from pegasus_export.stages.graph_files import (
    TracedGraphs,
    network_weights,
    trace_graphs,
    write_graphs,
)
from pegasus_export.stages.prepare import Prepared
from pegasus_runtime.bundle import (
    Activation,
    Architecture,
    BundleWriter,
    ClassifierSpec,
    JsonValue,
    Manifest,
    Source,
    Task,
    graph_metadata,
)
from pegasus_runtime.version import __version__

__all__ = ["Builder"]

_DELETES_WHAT_IS_MAPPED = os.name != "nt"
_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")


class Builder:
    """Fills the staging folder; the graphs are traced once, whatever recipes they are built in."""

    def __init__(
        self,
        prepared: Prepared,
        staging: BundleWriter,
        source_hash: Future[str],
        progress: Progress,
        traced: dict[str, ir.Model] | None = None,
    ) -> None:
        """traced: graphs of the same network that were traced before, if any; filled otherwise."""
        self.prepared = prepared
        self.staging = staging
        self.source_hash = source_hash
        self.progress = progress
        self.equalisation = Equalisation()
        """Of the weights, where the precision quantises them."""
        self.observed = Observed()
        """What layers read of documents, of the network as it is equalised."""
        self.layer_errors: Mapping[str, float] = {}
        """Of what was built last; see `measure_layers`."""
        self.layer_formats: Mapping[str, Format] = {}
        """Of what was built last, by layer."""
        self._traced = {} if traced is None else traced
        self._stored: Mapping[str, npt.NDArray[np.generic]] = {}
        """What was built last, mapped: the file itself is deleted when there is another."""

    def let_go(self) -> None:
        """Of the mapped file, which could not be moved: nothing is built any more."""
        self._stored = {}

    def build(self, recipe: PrecisionRecipe) -> Manifest:
        """Writes graphs and weights; what is measured of them is not in the manifest yet.

        Raises: UnsupportedError for weights that the precision cannot hold.
        """
        prepared, conversion = self.prepared, self._conversion(recipe)
        stored, outline = network_weights(prepared.pegasus), self.outline(recipe)
        try:
            written = write_graphs(
                self._trace,
                self.weights,
                conversion,
                self.staging,
                f"{prepared.kind.suffix}.onnx",
                prepared.kind.weights_file,
                self.progress,
                compose=prepared.kind.compose,
                expected_bytes=conversion.stored_bytes(stored),
                metadata=graph_metadata(outline.architecture),
            )
        except HalfRangeError as err:
            raise UnsupportedError(f"{err}: use --precision fp32") from err
        if recipe.quantises:
            self._stored = {name: tensor.numpy() for name, tensor in written.stored.items()}
            if not _DELETES_WHAT_IS_MAPPED:
                self._stored = {name: array.copy() for name, array in self._stored.items()}
            layers = find_layers(self.weights)
            self.layer_formats = {layer.name: recipe.format_of(layer) for layer in layers}
            self.layer_errors = measure_layers(self.weights, written.stored, recipe, self.observed)
            if not _DELETES_WHAT_IS_MAPPED:
                for tensor in written.stored.values():
                    tensor.release()
        return dataclasses.replace(
            outline,
            graphs=written.graphs,
            tables=written.tables,
            source=dataclasses.replace(outline.source, sha256=self.source_hash.result()),
        )

    @property
    def weights(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """The network's, as they are stored or rounded."""
        return EqualisedWeights(
            weights=network_weights(self.prepared.pegasus), equalisation=self.equalisation
        )

    def outline(self, recipe: PrecisionRecipe) -> Manifest:
        """What is known before anything is built: all but graphs, tables and the source's hash."""
        prepared, checkpoint = self.prepared, self.prepared.checkpoint
        return Manifest(
            task=prepared.task,
            target=prepared.target,
            precision=recipe.name,
            architecture=_architecture(checkpoint, prepared.random_blocks),
            classifier=_classifier(checkpoint, prepared.task),
            graphs={},
            tables={},
            tokenizer=prepared.tokenizer,
            token_ids=prepared.tokens,
            limits=prepared.limits,
            plans=prepared.plans,
            source=Source(name=checkpoint.name, sha256=""),
            recipe=recipe.describe() | self._describe_equalisation(recipe),
            generation=_json_mapping(prepared.defaults),
            tools={
                "pegasus-edge": __version__,
                **{name: importlib.metadata.version(name) for name in _TOOLS},
            },
        )

    def _conversion(self, recipe: PrecisionRecipe) -> Conversion:
        prepared = self.prepared
        if prepared.kind.on_device:
            sparse = prepared.checkpoint.config.block_sparse
            return PlanConversion(
                recipe=recipe,
                block_size=None if sparse is None else sparse.block_size,
                largest=self._largest() if recipe.measures_activations else None,
                rows=self.observed.rows_to_round_by,
            )
        if recipe.name == "fp16":
            return HalfConversion(recipe=recipe)
        return ContribConversion(
            recipe=recipe, rows=self.observed.rows_to_round_by, before=self._stored
        )

    def _largest(self) -> dict[str, float]:
        return {name: float(array.max()) for name, array in self.observed.largest.items()}

    def _describe_equalisation(self, recipe: PrecisionRecipe) -> dict[str, JsonValue]:
        if not recipe.quantises:
            return {}
        found = self.equalisation
        return {"equalised_channels": found.channels, "largest_factor_bits": found.largest_bits}

    def _trace(self) -> TracedGraphs:
        if not self._traced:
            definitions = self.prepared.kind.graphs(self.prepared.pegasus)
            self._traced.update(trace_graphs(definitions, self.progress))
        return self._traced


def _architecture(checkpoint: Checkpoint, random_blocks: str) -> Architecture:
    config = checkpoint.config
    has_encoder = ARCHITECTURES[checkpoint.architecture].encoder
    sparse = config.block_sparse if has_encoder else None
    local = config.block_local
    blocks = sparse or local
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
        attention_type="block_sparse" if sparse else "block_local" if local else "full",
        block_size=None if blocks is None else blocks.block_size,
        num_random_blocks=None if sparse is None else sparse.num_random_blocks,
        random_blocks=None if sparse is None else random_blocks,
        num_global_tokens=None if local is None else local.num_global_tokens,
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


def _json_mapping(values: Mapping[str, object]) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = json.loads(json.dumps(dict(values)))
    return result
