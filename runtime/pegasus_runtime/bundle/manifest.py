"""What a manifest says about its bundle: frozen dataclasses, and what follows from their fields.

The fields are checked where they cross the border to text, in manifest_json.py: `dump_manifest`
refuses what `parse_manifest` would refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pegasus_runtime.bundle.block_sparse import longest_full
from pegasus_runtime.bundle.tokenizer_spec import TokenizerSpec

__all__ = [
    "PLAN_TARGETS",
    "SCHEMA_VERSION",
    "Activation",
    "Architecture",
    "ClassifierSpec",
    "FileRecord",
    "GraphSpec",
    "JsonValue",
    "Limits",
    "Manifest",
    "PlanSpec",
    "PluginSpec",
    "PluginWay",
    "Profile",
    "Source",
    "TableSpec",
    "Target",
    "Task",
    "TensorSpec",
    "TokenIds",
]

SCHEMA_VERSION = 6

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
Task: TypeAlias = Literal[
    "summarization",
    "feature-extraction",
    "text-generation",
    "text-classification",
    "question-answering",
]
Activation: TypeAlias = Literal["softmax", "sigmoid", "none"]
Target: TypeAlias = Literal["onnx", "ort", "trt", "trt-rtx"]
PLAN_TARGETS: tuple[Target, ...] = ("trt", "trt-rtx")
"""Those whose graphs TensorRT builds plans of: for the GPU at hand, and for GPUs of desktops."""
PluginWay: TypeAlias = Literal["library", "python", "aot"]

Profile: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Dynamic dimension -> its smallest size, the one to be fastest at, its largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a graph.

    shape: an int is a fixed size, a str names a dynamic one ("batch", "source"); () is a scalar.
    dtype: NumPy's name ("float32", "int64", ...), "bfloat16", or "string".
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """One graph or plan: its file in the bundle, and its inputs and outputs in order."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


TABLE_ALIGNMENT = 4096
"""Bytes: a page, so that a table can be mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A matrix in which several graphs look up rows, so that it can be loaded once for all.

    shape [rows, columns], from byte `offset` of the file on, a multiple of TABLE_ALIGNMENT; dtype:
    NumPy's name. graphs: names of those that have it. Targets onnx and ort: as an initialiser,
    external data of the same bytes; whoever ignores this loses memory, not function. Targets trt
    and trt-rtx: as an input.
    """

    file: str
    offset: int
    dtype: str
    shape: tuple[int, int]
    graphs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The facts about the network that a runtime needs, in Hugging Face's terms.

    model_type: config.json's ("pegasus", "bigbird_pegasus", "pegasus_x"); architecture: the class
    name. head_dim: of the decoder, d_model / decoder_heads. encoder_layers and encoder_heads are 0
    where there is no encoder, as decoder_layers and decoder_heads are where there is no decoder.
    attention_type: of the encoder: "full", "block_sparse" or "block_local"; block_size is set for
    the latter two. num_random_blocks is set for "block_sparse", and random_blocks names its pattern
    ("hf-eval" or "seeded"); num_global_tokens is set for "block_local".
    """

    model_type: str
    architecture: str
    vocab_size: int
    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_heads: int
    decoder_heads: int
    head_dim: int
    max_position_embeddings: int | None = None
    attention_type: str = "full"
    block_size: int | None = None
    num_random_blocks: int | None = None
    random_blocks: str | None = None
    num_global_tokens: int | None = None

    @property
    def longest_full(self) -> int | None:
        """Tokens, padding included, up to which a block-sparse encoder attends in full; None for
        an encoder that always does."""
        if self.attention_type != "block_sparse":
            return None
        assert self.block_size is not None
        assert self.num_random_blocks is not None
        return longest_full(block_size=self.block_size, num_random_blocks=self.num_random_blocks)

    @property
    def cross_names(self) -> list[str]:
        """What the encoder gives the decoder: cross_key.{l} of all layers, then cross_value.{l}."""
        layers = range(self.decoder_layers)
        return [f"cross_{kind}.{layer}" for kind in ("key", "value") for layer in layers]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIds:
    """The token ids that generation needs; each is in [0, vocab_size)."""

    pad_token_id: int
    eos_token_ids: tuple[int, ...]
    decoder_start_token_id: int
    bos_token_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest request that the graphs take; None where nothing limits it.

    max_source_tokens counts EOS; max_target_tokens counts the start token, as max_length does.
    """

    max_source_tokens: int
    max_target_tokens: int
    max_beams: int
    max_batch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSpec:
    """The labels of a classifier, in the order of its logits, and what makes them scores."""

    labels: tuple[str, ...]
    activation: Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSpec:
    """What computes, in plans of target trt, a node that TensorRT has no operator for.

    operator: "namespace::name"; version: its version. kernels: the file of the bundle that holds
    them, compiled. way: how TensorRT came by the plugin when it built the plans, which is how it
    has to when it loads them: "library", a library in C++, "python", a class, or "aot", inside the
    plan; None while the graphs are ONNX. library, library_sha256: the name of that library and the
    SHA-256 of its file, which is no file of the bundle; None for other ways.
    """

    operator: str
    version: str
    kernels: str
    way: PluginWay | None = None
    library: str | None = None
    library_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpec:
    """What TensorRT builds, or has built, of the graphs of targets trt and trt-rtx.

    num_beams: beams of every decoder step; fewer leave rows unused. profiles: graph's name -> the
    ranges of sizes that it runs at. version: of the TensorRT that built the plans and alone loads
    them; None while the graphs are ONNX. compute_capabilities: of the GPUs that they run on, such
    as "8.9"; empty while there are no plans. plugin: that the encoder calls, if it calls one.
    """

    num_beams: int
    profiles: Mapping[str, tuple[Profile, ...]]
    version: str | None = None
    compute_capabilities: tuple[str, ...] = ()
    plugin: PluginSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The checkpoint that was exported: folder or hub name, and the SHA-256 of its weights."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """Size in bytes and SHA-256 (64 lowercase hex digits) of one file of the bundle."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that manifest.json says.

    precision: the recipe's name ("fp32", "int8", ...); recipe: its settings.
    tokenizer: None where the bundle takes ids only. classifier: None but for text-classification.
    plans: for targets trt and trt-rtx, None for others.
    generation: the checkpoint's defaults, by their Hugging Face names; `prefix` and
    `task_specific_params` are there for pipelines alone.
    tools: name -> version. verification: the figures that the exporter measured.
    files: relative POSIX path -> record, of every file but the manifest; left empty by the
    exporter and filled in by `BundleWriter.commit`.
    tables: name of an initialiser or input -> where it is.
    recipe, generation and verification hold JSON values; sequences in them are read back as lists.
    """

    task: Task
    target: Target
    precision: str
    architecture: Architecture
    graphs: Mapping[str, GraphSpec]
    tokenizer: TokenizerSpec | None
    token_ids: TokenIds
    limits: Limits
    source: Source
    classifier: ClassifierSpec | None = None
    plans: PlanSpec | None = None
    recipe: Mapping[str, JsonValue] = field(default_factory=dict)
    tables: Mapping[str, TableSpec] = field(default_factory=dict)
    generation: Mapping[str, JsonValue] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    verification: Mapping[str, JsonValue] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
