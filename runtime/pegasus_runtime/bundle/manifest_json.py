"""Manifest -> text and text -> Manifest: one reader per dataclass, every field checked."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import get_args

from pegasus_runtime.bundle.check_sizes import check_sizes
from pegasus_runtime.bundle.json_node import MAX_DEPTH, JsonNode, field_error, load_json
from pegasus_runtime.bundle.manifest import (
    PLAN_TARGETS,
    SCHEMA_VERSION,
    TABLE_ALIGNMENT,
    Activation,
    Architecture,
    ClassifierSpec,
    FileRecord,
    GraphSpec,
    JsonValue,
    Limits,
    Manifest,
    PlanSpec,
    PluginSpec,
    PluginWay,
    Profile,
    Source,
    TableSpec,
    Target,
    Task,
    TensorSpec,
    TokenIds,
)
from pegasus_runtime.bundle.tokenizer_json import read_tokenizer
from pegasus_runtime.errors import BundleError

__all__ = ["dump_manifest", "parse_manifest"]

DTYPES = (
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "string",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)


_MOST_LAYERS = 1024
_OF_ATTENTION = {
    "block_size": ("block_sparse", "block_local"),
    "num_random_blocks": ("block_sparse",),
    "random_blocks": ("block_sparse",),
    "num_global_tokens": ("block_local",),
}
"""Field of an architecture -> the types of attention that have it."""
_TABLE_ITEM_BYTES: Mapping[str, int] = {"int8": 1, "float16": 2, "float32": 4}


def parse_manifest(text: str) -> Manifest:
    """Read manifest.json, checking every field.

    Raises: BundleError, which names the field, what was got and what was expected.
    """
    root = load_json(text)
    _check_schema_version(root)
    root.expect_fields_of(Manifest)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        task=root.child("task").choice(get_args(Task)),
        target=root.child("target").choice(get_args(Target)),
        precision=root.child("precision").text(),
        recipe=root.child("recipe").mapping(JsonNode.free),
        tables=root.child("tables").mapping(_read_table),
        architecture=_read_architecture(root.child("architecture")),
        graphs=_read_graphs(root.child("graphs")),
        tokenizer=root.child("tokenizer").optional(read_tokenizer),
        classifier=root.child("classifier").optional(_read_classifier),
        plans=root.child("plans").optional(_read_plans),
        token_ids=_read_token_ids(root.child("token_ids")),
        generation=root.child("generation").mapping(JsonNode.free),
        limits=_read_limits(root.child("limits")),
        source=_read_source(root.child("source")),
        tools=root.child("tools").mapping(JsonNode.text),
        verification=root.child("verification").mapping(JsonNode.free),
        files=_read_files(root.child("files")),
    )
    _check_token_ids(manifest)
    _check_tables(manifest)
    _check_plans(manifest)
    check_sizes(manifest)
    if (manifest.classifier is None) == (manifest.task == "text-classification"):
        got = "null" if manifest.classifier is None else "given"
        raise field_error("classifier", got, "labels for text-classification, null otherwise")
    return manifest


def dump_manifest(manifest: Manifest) -> str:
    """Write a manifest as JSON: fields in the order of the dataclass, mappings sorted by key.

    Equal manifests give equal text, and `parse_manifest` reads back an equal manifest.
    Raises: BundleError where `parse_manifest` would refuse the text.
    """
    plain = _json_from(manifest, "", 0)
    text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
    parse_manifest(text)
    return text


def _check_schema_version(root: JsonNode) -> None:
    if not isinstance(root.value, dict):
        raise root.error("an object")
    if "schema_version" not in root.value:
        raise BundleError(
            "manifest.json: missing schema_version: not a bundle of pegasus-edge; "
            "export one with pegasus-export"
        )
    version = root.child("schema_version").integer(1, 2**63)
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"manifest.json: schema_version is {version}, this version reads {SCHEMA_VERSION}: "
            "written by a newer pegasus-edge: upgrade"
        )
    if version < SCHEMA_VERSION:
        raise BundleError(
            f"manifest.json: schema_version is {version}, this version reads {SCHEMA_VERSION}: "
            "written by an older pegasus-edge: export the checkpoint again"
        )


def _read_architecture(node: JsonNode) -> Architecture:
    node.expect_fields_of(Architecture)
    attention_type = node.child("attention_type").choice(("full", "block_sparse", "block_local"))
    for name, kinds in _OF_ATTENTION.items():
        if (node.child(name).value is not None) != (attention_type in kinds):
            of = " or ".join(kind.replace("_", "-") for kind in kinds)
            raise node.child(name).error(f"a value for {of} attention, null otherwise")
    return Architecture(
        model_type=node.child("model_type").text(),
        architecture=node.child("architecture").text(),
        vocab_size=node.child("vocab_size").positive(),
        d_model=node.child("d_model").positive(),
        encoder_layers=node.child("encoder_layers").count(_MOST_LAYERS),
        decoder_layers=node.child("decoder_layers").count(_MOST_LAYERS),
        encoder_heads=node.child("encoder_heads").count(),
        decoder_heads=node.child("decoder_heads").count(),
        head_dim=node.child("head_dim").positive(),
        max_position_embeddings=node.child("max_position_embeddings").optional(JsonNode.positive),
        attention_type=attention_type,
        block_size=node.child("block_size").optional(JsonNode.positive),
        num_random_blocks=node.child("num_random_blocks").optional(JsonNode.count),
        random_blocks=node.child("random_blocks").optional(_read_pattern),
        num_global_tokens=node.child("num_global_tokens").optional(JsonNode.positive),
    )


def _read_pattern(node: JsonNode) -> str:
    return node.choice(("hf-eval", "seeded"))


def _read_graphs(node: JsonNode) -> dict[str, GraphSpec]:
    graphs = node.mapping(_read_graph)
    if not graphs:
        raise node.error("at least one graph")
    return graphs


def _read_graph(node: JsonNode) -> GraphSpec:
    node.expect_fields_of(GraphSpec)
    return GraphSpec(
        file=node.child("file").file_path(),
        inputs=_read_tensors(node.child("inputs")),
        outputs=_read_tensors(node.child("outputs")),
    )


def _read_tensors(node: JsonNode) -> tuple[TensorSpec, ...]:
    tensors = node.sequence(_read_tensor)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise node.error("tensors with different names")
    return tensors


def _read_tensor(node: JsonNode) -> TensorSpec:
    node.expect_fields_of(TensorSpec)
    return TensorSpec(
        name=node.child("name").text(),
        dtype=node.child("dtype").choice(DTYPES),
        shape=node.child("shape").sequence(_read_dimension),
    )


def _read_dimension(node: JsonNode) -> int | str:
    return node.text() if isinstance(node.value, str) else node.count()


def _read_table(node: JsonNode) -> TableSpec:
    node.expect_fields_of(TableSpec)
    shape = node.child("shape")
    sizes = shape.sequence(JsonNode.positive)
    if len(sizes) != 2:
        raise shape.error("rows and columns")
    if node.child("offset").offset() % TABLE_ALIGNMENT != 0:
        raise node.child("offset").error(f"a multiple of {TABLE_ALIGNMENT}")
    return TableSpec(
        file=node.child("file").file_path(),
        offset=node.child("offset").offset(),
        dtype=node.child("dtype").choice(tuple(_TABLE_ITEM_BYTES)),
        shape=(sizes[0], sizes[1]),
        graphs=node.child("graphs").sequence(JsonNode.text),
    )


def _check_tables(manifest: Manifest) -> None:
    """A table lies within its file, and the graphs that have it exist."""
    for name, table in manifest.tables.items():
        path = f"tables.{name}"
        unknown = set(table.graphs) - set(manifest.graphs)
        if unknown:
            raise field_error(f"{path}.graphs", repr(min(unknown)), "names of graphs")
        if not manifest.files:  # the exporter's draft; they are recorded before it is written
            continue
        end = table.offset + math.prod(table.shape) * _TABLE_ITEM_BYTES[table.dtype]
        record = manifest.files.get(table.file)
        size = 0 if record is None else record.bytes
        if end > size:
            raise field_error(path, f"{end} bytes up to its end", f"at most {size} of {table.file}")


def _read_classifier(node: JsonNode) -> ClassifierSpec:
    node.expect_fields_of(ClassifierSpec)
    labels = node.child("labels").sequence(JsonNode.text)
    if not labels or len(set(labels)) < len(labels):
        raise node.child("labels").error("different names, at least one")
    return ClassifierSpec(
        labels=labels, activation=node.child("activation").choice(get_args(Activation))
    )


def _read_token_ids(node: JsonNode) -> TokenIds:
    node.expect_fields_of(TokenIds)
    return TokenIds(
        pad_token_id=node.child("pad_token_id").count(),
        eos_token_ids=node.child("eos_token_ids").sequence(JsonNode.count),
        decoder_start_token_id=node.child("decoder_start_token_id").count(),
        bos_token_id=node.child("bos_token_id").optional(JsonNode.count),
    )


def _check_token_ids(manifest: Manifest) -> None:
    ids, vocab_size = manifest.token_ids, manifest.architecture.vocab_size
    singles = (ids.pad_token_id, ids.decoder_start_token_id, ids.bos_token_id or 0)
    largest = max(*singles, *ids.eos_token_ids)
    if largest >= vocab_size:
        raise field_error("token_ids", str(largest), f"ids below vocab_size {vocab_size}")


def _read_limits(node: JsonNode) -> Limits:
    node.expect_fields_of(Limits)
    return Limits(
        max_source_tokens=node.child("max_source_tokens").positive(),
        max_target_tokens=node.child("max_target_tokens").positive(),
        max_beams=node.child("max_beams").positive(),
        max_batch=node.child("max_batch").optional(JsonNode.positive),
    )


def _read_plans(node: JsonNode) -> PlanSpec:
    node.expect_fields_of(PlanSpec)
    capabilities = node.child("compute_capabilities")
    plans = PlanSpec(
        num_beams=node.child("num_beams").positive(),
        profiles=node.child("profiles").mapping(lambda each: each.sequence(_read_profile)),
        version=node.child("version").optional(JsonNode.text),
        compute_capabilities=capabilities.sequence(_read_capability),
        plugin=node.child("plugin").optional(_read_plugin),
    )
    if (plans.version is None) != (not plans.compute_capabilities):
        raise capabilities.error("some where there is a version, none otherwise")
    if plans.plugin is not None and (plans.version is None) != (plans.plugin.way is None):
        raise node.child("plugin").child("way").error("one where there is a version, else null")
    return plans


def _read_plugin(node: JsonNode) -> PluginSpec:
    node.expect_fields_of(PluginSpec)
    plugin = PluginSpec(
        operator=node.child("operator").match(r"\w+::\w+", 'an operator such as "space::Name"'),
        version=node.child("version").text(),
        kernels=node.child("kernels").file_path(),
        way=node.child("way").optional(lambda each: each.choice(get_args(PluginWay))),
        library=node.child("library").optional(_read_library),
        library_sha256=node.child("library_sha256").optional(_read_sha256),
    )
    for name in ("library", "library_sha256"):
        if (getattr(plugin, name) is None) != (plugin.way != "library"):
            raise node.child(name).error('one where way is "library", else null')
    return plugin


def _read_library(node: JsonNode) -> str:
    return node.match(r"[\w.+-]+", "the name of a library's file, without a folder")


def _read_capability(node: JsonNode) -> str:
    return node.match(r"[1-9]\d?\.\d", 'a compute capability such as "8.9"')


def _read_profile(node: JsonNode) -> Profile:
    return node.mapping(_read_range)


def _read_range(node: JsonNode) -> tuple[int, int, int]:
    sizes = node.sequence(JsonNode.positive)
    if len(sizes) != 3 or list(sizes) != sorted(sizes):
        raise node.error("the smallest, the best and the largest size")
    return sizes[0], sizes[1], sizes[2]


def _check_plans(manifest: Manifest) -> None:
    """Targets of TensorRT have profiles for every graph, and others have none."""
    if (manifest.plans is None) == (manifest.target in PLAN_TARGETS):
        got = "null" if manifest.plans is None else "given"
        raise field_error("plans", got, f"a value for {' and '.join(PLAN_TARGETS)}, else null")
    if manifest.plans is None:
        return
    profiles = manifest.plans.profiles
    if set(profiles) != set(manifest.graphs) or not all(profiles.values()):
        raise field_error("plans.profiles", f"those of {sorted(profiles)}", "some for every graph")


def _read_source(node: JsonNode) -> Source:
    node.expect_fields_of(Source)
    return Source(name=node.child("name").text(), sha256=_read_sha256(node.child("sha256")))


def _read_files(node: JsonNode) -> dict[str, FileRecord]:
    files = node.mapping(_read_file)
    for name in files:
        JsonNode(value=name, path=node.child(name).path).file_path()
    return files


def _read_file(node: JsonNode) -> FileRecord:
    node.expect_fields_of(FileRecord)
    return FileRecord(bytes=node.child("bytes").offset(), sha256=_read_sha256(node.child("sha256")))


def _read_sha256(node: JsonNode) -> str:
    return node.match("[0-9a-f]{64}", "64 lowercase hexadecimal digits")


def _json_from(value: object, path: str, depth: int) -> JsonValue:
    """Dataclasses and mappings -> dict, sequences -> list; anything else that JSON lacks raises."""
    if depth > MAX_DEPTH + 2:
        raise field_error(path.lstrip("."), "a deeper value", f"at most {MAX_DEPTH} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise field_error(path.lstrip("."), str(value), "a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _json_from(getattr(value, name), f"{path}.{name}", depth) for name in names}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        items = sorted(value.items())
        return {key: _json_from(item, f"{path}.{key}", depth + 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [_json_from(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise field_error(path.lstrip("."), type(value).__name__, "a JSON value")
