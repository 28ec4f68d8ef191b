"""manifest.json: what is written is read back, and what is wrong is refused by name."""

import contextlib
import functools
import json
import operator
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pegasus_runtime.bundle as bundle_package
from pegasus_runtime.bundle import (
    SCHEMA_VERSION,
    AddedToken,
    Architecture,
    ClassifierSpec,
    FileRecord,
    GraphSpec,
    Limits,
    Manifest,
    PlanSpec,
    PluginSpec,
    PluginWay,
    Source,
    TensorSpec,
    TokenIds,
    TokenizerSpec,
    WordPieceSpec,
    dump_manifest,
    parse_manifest,
)
from pegasus_runtime.errors import BundleError

names = st.text(min_size=1, max_size=12)
positives = st.integers(1, 2**31 - 1)
path_parts = st.from_regex(r"[A-Za-z0-9_-]{1,8}(\.[a-z]{1,4})?", fullmatch=True)
paths = st.lists(path_parts, min_size=1, max_size=3).map("/".join).filter("manifest.json".__ne__)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
token_ids = st.integers(0, 99)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=3),
    max_leaves=8,
)
free_mappings = st.dictionaries(st.text(max_size=12), json_values, max_size=3)
tensors = st.lists(
    st.builds(
        TensorSpec,
        name=names,
        dtype=st.sampled_from(["float32", "int64", "bool", "bfloat16"]),
        shape=st.lists(st.integers(0, 10**6) | names, max_size=4).map(tuple),
    ),
    max_size=3,
    unique_by=lambda tensor: tensor.name,
).map(tuple)
full_architectures = st.builds(
    Architecture,
    model_type=names,
    architecture=names,
    vocab_size=st.integers(100, 10**6),
    d_model=positives,
    encoder_layers=st.integers(0, 99),
    decoder_layers=st.integers(0, 99),
    encoder_heads=st.integers(0, 99),
    decoder_heads=st.integers(1, 99),
    head_dim=st.integers(1, 10**6),
    max_position_embeddings=st.none() | positives,
).map(lambda facts: replace(facts, d_model=facts.decoder_heads * facts.head_dim))
sparse_architectures = st.builds(
    replace,
    full_architectures,
    attention_type=st.just("block_sparse"),
    block_size=positives,
    num_random_blocks=st.integers(0, 9),
    random_blocks=st.sampled_from(["hf-eval", "seeded"]),
)
local_architectures = st.builds(
    replace,
    full_architectures,
    attention_type=st.just("block_local"),
    block_size=positives,
    num_global_tokens=positives,
)
added_tokens = st.builds(
    AddedToken, content=names, token_id=st.integers(0, 10**6), special=st.booleans()
)
manifests = st.builds(
    Manifest,
    task=st.sampled_from(["summarization", "feature-extraction", "text-generation"]),
    target=st.sampled_from(["onnx", "ort"]),
    precision=names,
    recipe=free_mappings,
    architecture=full_architectures | sparse_architectures | local_architectures,
    graphs=st.dictionaries(
        names,
        st.builds(GraphSpec, file=paths, inputs=tensors, outputs=tensors),
        min_size=1,
        max_size=2,
    ),
    tokenizer=st.none()
    | st.builds(
        TokenizerSpec,
        file=paths,
        offset=st.integers(0, 103),
        unk_token_id=st.integers(103, 999),
        prefix_ids=st.lists(token_ids, max_size=2).map(tuple),
        added_tokens=st.lists(added_tokens, max_size=2).map(tuple),
        prepend=st.sampled_from(["always", "first", "never"]),
    )
    | st.builds(
        TokenizerSpec,
        file=paths,
        kind=st.just("wordpiece"),
        wordpiece=st.builds(
            WordPieceSpec,
            do_lower_case=st.booleans(),
            strip_accents=st.none() | st.booleans(),
            max_input_chars_per_word=positives,
            cls_token=st.none() | names,
        ),
    )
    | st.builds(
        TokenizerSpec,
        file=paths,
        kind=st.just("randeng"),
        wordpiece=st.builds(WordPieceSpec),
        dictionary=paths,
    ),
    token_ids=st.builds(
        TokenIds,
        pad_token_id=token_ids,
        eos_token_ids=st.lists(token_ids, max_size=3).map(tuple),
        decoder_start_token_id=token_ids,
        bos_token_id=st.none() | token_ids,
    ),
    generation=free_mappings,
    limits=st.builds(
        Limits,
        max_source_tokens=positives,
        max_target_tokens=positives,
        max_beams=positives,
        max_batch=st.none() | positives,
    ),
    source=st.builds(Source, name=names, sha256=hashes),
    tools=st.dictionaries(names, names, max_size=3),
    verification=free_mappings,
    files=st.dictionaries(
        paths, st.builds(FileRecord, bytes=st.integers(0, 2**40), sha256=hashes), max_size=3
    ),
    schema_version=st.just(SCHEMA_VERSION),
)
sizes = st.lists(st.integers(1, 10**6), min_size=3, max_size=3).map(sorted).map(tuple)
profiles = st.lists(st.dictionaries(names, sizes, max_size=2), min_size=1, max_size=2).map(tuple)
capabilities = st.lists(st.from_regex(r"[1-9]\d?\.\d", fullmatch=True), min_size=1, max_size=2)


@st.composite
def manifests_with_plans(draw: st.DrawFn) -> Manifest:
    """For a target of TensorRT: profiles for every graph; built, or not built yet."""
    manifest = draw(manifests)
    plans = PlanSpec(
        num_beams=draw(positives), profiles={name: draw(profiles) for name in manifest.graphs}
    )
    if draw(st.booleans()):
        built = tuple(draw(capabilities))
        plans = replace(plans, version=draw(names), compute_capabilities=built)
    if draw(st.booleans()):
        way = None if plans.version is None else draw(st.sampled_from(get_args(PluginWay)))
        plugin = PluginSpec(
            operator="space::Name", version=draw(names), kernels=draw(paths), way=way
        )
        if way == "library":
            plugin = replace(plugin, library="lib_a-1.so", library_sha256="0" * 64)
        plans = replace(plans, plugin=plugin)
    return replace(manifest, target=draw(st.sampled_from(["trt", "trt-rtx"])), plans=plans)


@settings(max_examples=50, deadline=None)
@given(manifests | manifests_with_plans())
def test_what_dump_writes_parse_reads_back(manifest: Manifest) -> None:
    text = dump_manifest(manifest)
    assert parse_manifest(text) == manifest
    assert dump_manifest(parse_manifest(text)) == text


def test_equal_manifests_give_equal_text_whatever_the_order_of_their_mappings(
    manifest: Manifest,
) -> None:
    turned = replace(manifest, files=dict(reversed(list(manifest.files.items()))))
    assert list(turned.files) != list(manifest.files)
    assert dump_manifest(turned) == dump_manifest(manifest)


def test_the_text_is_indented_json_with_the_fields_in_order(manifest: Manifest) -> None:
    text = dump_manifest(manifest)
    assert text.startswith('{\n  "task": "summarization",\n  "target": "ort",\n')
    assert text.endswith("}\n")
    assert json.loads(text)["graphs"]["encoder"]["inputs"][0]["shape"] == ["batch", "source"]


Change = Callable[[dict[str, Any]], object]

REFUSED: list[tuple[Change, str]] = [
    (
        lambda m: m["limits"].update(max_beams="8"),
        'limits.max_beams: got "8", expected a positive integer: export the checkpoint again',
    ),
    (lambda m: m["limits"].update(max_beams=0), "limits.max_beams: got 0, expected a positive"),
    (lambda m: m["limits"].update(max_batch=True), "limits.max_batch: got true, expected a pos"),
    (lambda m: m["limits"].update(max_beams=8.0), "limits.max_beams: got 8.0, expected a positive"),
    (lambda m: m["limits"].pop("max_beams"), "limits: missing max_beams: export"),
    (lambda m: (m.pop("task"), m.pop("files")), "json: missing task, files: export"),
    (lambda m: m["limits"].update(beams=8), "limits.beams: unknown field: export"),
    (lambda m: m.update({"a\nb": 1}), r'"a\nb": unknown field'),
    (lambda m: m.update(limits=[8]), "limits: got a list, expected an object"),
    (lambda m: m.update(recipe=3), "recipe: got 3, expected an object"),
    (lambda m: m.update(task="translation"), 'task: got "translation", expected one of summar'),
    (lambda m: m.update(target=7), "target: got 7, expected one of onnx, ort, trt, trt-rtx"),
    (lambda m: m.update(precision=""), 'precision: got "", expected a non-empty string'),
    (lambda m: m.update(precision=16), "precision: got 16, expected a string"),
    (lambda m: m.update(precision="\ud800"), "expected a string without lone surrogates"),
    (lambda m: m["recipe"].update({"\ud800": 1}), "expected a string without lone surrogates"),
    (lambda m: m["tools"].update(torch=None), "tools.torch: got null, expected a string"),
    (lambda m: m.update(graphs={}), "graphs: got an object, expected at least one graph"),
    (lambda m: m["graphs"]["encoder"].update(inputs={}), "encoder.inputs: got an object, expected"),
    (
        lambda m: m["graphs"]["encoder"]["inputs"].append(m["graphs"]["encoder"]["inputs"][0]),
        "graphs.encoder.inputs: got a list, expected tensors with different names",
    ),
    (
        lambda m: m["graphs"]["encoder"]["inputs"][0].update(dtype="complex64"),
        'graphs.encoder.inputs[0].dtype: got "complex64", expected one of bfloat16',
    ),
    (
        lambda m: m["graphs"]["encoder"]["outputs"][0].update(shape=["batch", -1]),
        "graphs.encoder.outputs[0].shape[1]: got -1, expected a non-negative integer",
    ),
    (
        lambda m: m["tokenizer"].update(kind="bpe"),
        'tokenizer.kind: got "bpe", expected one of sent',
    ),
    (
        lambda m: m["tokenizer"].update(offset=106),
        "offset: got 106, expected at most unk_token_id,",
    ),
    (
        lambda m: m["tokenizer"].update(kind="wordpiece"),
        "tokenizer.wordpiece: got null, expected settings for wordpiece and randeng, null other",
    ),
    (
        lambda m: m["tokenizer"].update(dictionary="dictionary.txt"),
        'tokenizer.dictionary: got "dictionary.txt", expected a file for kind randeng, null other',
    ),
    (
        lambda m: m["tokenizer"]["added_tokens"][0].update(special=0),
        "tokenizer.added_tokens[0].special: got 0, expected true or false",
    ),
    (lambda m: m["token_ids"].update(eos_token_ids=1), "eos_token_ids: got 1, expected a list"),
    (
        lambda m: m["token_ids"].update(eos_token_ids=[1, 96103]),
        "token_ids: got 96103, expected ids below vocab_size 96103",
    ),
    (
        lambda m: _table(m).update(shape=[31]),
        "tables.model.shared.int8.shape: got a list, expected rows and columns",
    ),
    (
        lambda m: _table(m).update(dtype="int4"),
        'dtype: got "int4", expected one of int8, float16, float32',
    ),
    (
        lambda m: _table(m).update(graphs=["encoder", "decoder"]),
        "tables.model.shared.int8.graphs: got 'decoder', expected names of graphs",
    ),
    (
        lambda m: _table(m).update(shape=[3, 667]),
        "tables.model.shared.int8: got 2001 bytes up to its end, expected at most 1000 of weights/",
    ),
    (
        lambda m: _table(m).update(offset=64),
        "tables.model.shared.int8.offset: got 64, expected a multiple of 4096",
    ),
    (
        lambda m: _table(m).update(file="other.bin"),
        "tables.model.shared.int8: got 992 bytes up to its end, expected at most 0 of other.bin",
    ),
    (lambda m: m["source"].update(sha256="A" * 64), "expected 64 lowercase hexadecimal digits"),
    (lambda m: m["source"].update(name="x" * 999), ""),
    (lambda m: m["source"].update(sha256="x" * 999), f'"{"x" * 59}…, expected 64 lower'),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_a_wrong_field_is_named_with_what_was_got_and_expected(
    manifest: Manifest, change: Change, message: str
) -> None:
    plain = json.loads(dump_manifest(manifest))
    change(plain)
    if not message:  # long, but allowed
        parse_manifest(json.dumps(plain))
        return
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        parse_manifest(json.dumps(plain))
    assert str(caught.value).startswith("manifest.json: ")
    assert "\n" not in str(caught.value)


def _table(manifest: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = manifest["tables"]["model.shared.int8"]
    return table


RECORDS: list[tuple[str | int, ...]] = [
    (),
    ("architecture",),
    ("graphs", "encoder"),
    ("graphs", "encoder", "inputs", 0),
    ("tables", "model.shared.int8"),
    ("tokenizer",),
    ("tokenizer", "added_tokens", 0),
    ("token_ids",),
    ("limits",),
    ("source",),
    ("files", "encoder.onnx"),
]


@pytest.mark.parametrize("path", RECORDS)
def test_every_field_of_every_record_is_required(
    manifest: Manifest, path: tuple[str | int, ...]
) -> None:
    plain = json.loads(dump_manifest(manifest))
    record = functools.reduce(operator.getitem, path, plain)
    for key in list(record):
        value = record.pop(key)
        with pytest.raises(BundleError, match=f"missing {key}"):
            parse_manifest(json.dumps(plain))
        record[key] = value


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../up",
            "a/../b",
            "/etc/passwd",
            "C:/x",
            "a\\b",
            "a//b",
            "./a",
            "a/",
            "",
            "a\0b",
            "a\nb",
        ),
        # on Windows: a stream, devices, and names that lose their ends, and so are others'
        *("a:b", "..\\b", "nul", "sub/CON.onnx", "com1 .x", "LPT²"),
        *("a.onnx.", "a.onnx ", "sub./a", "..."),
    ],
)
@pytest.mark.parametrize("field", ["graph", "tokenizer", "files"])
def test_a_path_that_could_leave_the_folder_is_refused(
    manifest: Manifest, field: str, path: str
) -> None:
    plain = json.loads(dump_manifest(manifest))
    if field == "graph":
        plain["graphs"]["encoder"]["file"] = path
    elif field == "tokenizer":
        plain["tokenizer"]["file"] = path
    else:
        plain["files"][path] = plain["files"].pop("encoder.onnx")
    expected = 'expected a (relative path with "/", inside the folder|non-empty string)'
    with pytest.raises(BundleError, match=expected):
        parse_manifest(json.dumps(plain))


@pytest.mark.parametrize("path", ["console.onnx", "sub/nul-model", ".hidden", "com.onnx", "COM10"])
def test_names_that_only_look_like_those_of_devices_are_taken(
    manifest: Manifest, path: str
) -> None:
    plain = json.loads(dump_manifest(manifest))
    plain["files"][path] = plain["files"]["encoder.onnx"]
    assert path in parse_manifest(json.dumps(plain)).files


def test_the_manifest_is_no_file_of_its_own(manifest: Manifest) -> None:
    plain = json.loads(dump_manifest(manifest))
    plain["files"]["manifest.json"] = plain["files"]["encoder.onnx"]
    with pytest.raises(BundleError, match="expected another file than the manifest"):
        parse_manifest(json.dumps(plain))


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (SCHEMA_VERSION + 1, "written by a newer pegasus-edge: upgrade"),
        (10**18, "written by a newer pegasus-edge: upgrade"),
        (0, "schema_version: got 0, expected a positive integer"),
        ("1", 'schema_version: got "1", expected a positive integer'),
    ],
)
def test_another_schema_version_is_told_before_anything_else(version: object, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parse_manifest(json.dumps({"schema_version": version, "unheard": "of"}))


def test_an_older_schema_version_asks_for_a_new_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegasus_runtime.bundle.manifest_json.SCHEMA_VERSION", 2)
    with pytest.raises(BundleError, match="written by an older pegasus-edge: export the check"):
        parse_manifest('{"schema_version": 1}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: Expecting value"),
        ("{", "not JSON: Expecting property name"),
        ("{} {}", "not JSON: Extra data"),
        ("[]", "the whole: got a list, expected an object"),
        ("null", "the whole: got null, expected an object"),
        ("{}", "missing schema_version: not a bundle of pegasus-edge"),
        ('{"a": 1, "a": 2}', 'not JSON: duplicate key "a"'),
        ('{"a": NaN}', "not JSON: NaN is not a finite number"),
        ('{"a": -Infinity}', "not JSON: -Infinity is not a finite number"),
        ('{"a": 1e999}', "not JSON: 1e999 is not a finite number"),
        ('{"a": ' + "9" * 100_000 + "}", "9 does not fit 64 bits"),
        ("[" * 1_000_000, "nested too deeply"),
        ('{"a":' * 1_000_000, "nested too deeply"),
        (" " * (16 * 2**20 + 1), "has 16777217 characters, expected at most 16777216"),
    ],
)
def test_text_that_is_no_strict_json_is_refused_at_once(text: str, message: str) -> None:
    start_s = time.monotonic()
    with pytest.raises(BundleError, match=message) as caught:
        parse_manifest(text)
    assert time.monotonic() - start_s < 2
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("depth", [34, 300])
def test_free_values_are_bounded_in_depth(manifest: Manifest, depth: int) -> None:
    text = dump_manifest(replace(manifest, recipe={"deep": "here"}))
    text = text.replace('"here"', "[" * depth + "]" * depth)
    with pytest.raises(BundleError, match=r"recipe\.deep.*: got .*, expected at most 32 levels"):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"a": [float("nan")]}, r"recipe\.a\[0\]: got nan, expected a finite number"),
        ({"a": {1: 2}}, r"recipe\.a: got dict, expected a JSON value"),
        ({"a": b"bytes"}, r"recipe\.a: got bytes, expected a JSON value"),
        ({"a": Limits}, r"recipe\.a: got type, expected a JSON value"),
        ({"a": 2**70}, "not JSON: 1180591620717411303424 does not fit 64 bits"),
    ],
)
def test_dump_refuses_what_json_cannot_hold(
    manifest: Manifest, recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        dump_manifest(replace(manifest, recipe=recipe))


def test_dump_refuses_a_value_that_contains_itself(manifest: Manifest) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BundleError, match="got a deeper value, expected at most 32 levels"):
        dump_manifest(replace(manifest, recipe={"a": endless}))


def test_dump_refuses_what_parse_would_refuse(manifest: Manifest) -> None:
    limits = replace(manifest.limits, max_beams=0)
    with pytest.raises(BundleError, match=r"limits\.max_beams: got 0, expected a positive int"):
        dump_manifest(replace(manifest, limits=limits))


def test_tuples_in_free_values_are_read_back_as_lists(manifest: Manifest) -> None:
    text = dump_manifest(replace(manifest, recipe={"skip": ("a", "b")}))
    assert parse_manifest(text).recipe == {"skip": ["a", "b"]}


@settings(max_examples=50, deadline=None)
@given(json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    with pytest.raises(BundleError):
        parse_manifest(json.dumps(value))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    plain = json.loads(dump_manifest(data.draw(manifests)))
    record, key = plain, data.draw(st.sampled_from(sorted(plain)))
    while isinstance(record[key], dict) and record[key] and data.draw(st.booleans()):
        record, key = record[key], data.draw(st.sampled_from(sorted(record[key])))
    record[key] = data.draw(json_values)
    with contextlib.suppress(BundleError):
        manifest = parse_manifest(json.dumps(plain))
        assert parse_manifest(dump_manifest(manifest)) == manifest


def test_the_package_exports_what_it_says() -> None:
    assert sorted(bundle_package.__all__) == sorted(set(bundle_package.__all__))
    assert all(hasattr(bundle_package, name) for name in bundle_package.__all__)


def test_a_classifier_has_labels_and_nothing_else_has(manifest: Manifest) -> None:
    labels = ClassifierSpec(labels=("sport", "money"), activation="softmax")
    classifier = replace(manifest, task="text-classification", classifier=labels)
    assert parse_manifest(dump_manifest(classifier)) == classifier
    with pytest.raises(BundleError, match="classifier: got null, expected labels for text-class"):
        dump_manifest(replace(classifier, classifier=None))
    with pytest.raises(BundleError, match="classifier: got given, expected labels for text-class"):
        dump_manifest(replace(manifest, classifier=labels))
    twice = replace(labels, labels=("sport", "sport"))
    with pytest.raises(BundleError, match=r"classifier\.labels: .* expected different names, at "):
        dump_manifest(replace(classifier, classifier=twice))


@pytest.mark.parametrize("name", ["block_size", "num_random_blocks", "random_blocks"])
def test_the_facts_of_sparse_attention_are_there_if_it_is(manifest: Manifest, name: str) -> None:
    sparse = manifest.architecture
    full = replace(
        sparse, attention_type="full", block_size=None, num_random_blocks=None, random_blocks=None
    )
    value = getattr(sparse, name)
    for bad in (replace(sparse, **{name: None}), replace(full, **{name: value})):
        with pytest.raises(BundleError, match=f"architecture.{name}: .* block-sparse.* attention,"):
            dump_manifest(replace(manifest, architecture=bad))


@pytest.mark.parametrize(
    "changes",
    [
        {"num_global_tokens": None},
        {"block_size": None},
        {"attention_type": "full", "block_size": None},
        {"num_random_blocks": 3},
        {"random_blocks": "hf-eval"},
    ],
    ids=str,
)
def test_the_facts_of_local_attention_are_there_if_it_is(
    manifest: Manifest, changes: dict[str, Any]
) -> None:
    local = replace(
        manifest.architecture,
        attention_type="block_local",
        num_random_blocks=None,
        random_blocks=None,
        num_global_tokens=32,
    )
    dump_manifest(replace(manifest, architecture=local))
    with pytest.raises(BundleError, match=r"architecture\..* attention, null otherwise"):
        dump_manifest(replace(manifest, architecture=replace(local, **changes)))


def with_plans(manifest: Manifest) -> dict[str, Any]:
    """As JSON, for target trt-rtx and not built yet."""
    profiles = {name: ({"source": (1, 8, 8)},) for name in manifest.graphs}
    spec = PlanSpec(num_beams=8, profiles=profiles)
    made: dict[str, Any] = json.loads(
        dump_manifest(replace(manifest, target="trt-rtx", plans=spec))
    )
    return made


PLUGIN: dict[str, Any] = {
    "operator": "space::Name",
    "version": "1",
    "kernels": "a.kernels",
    "way": None,
    "library": None,
    "library_sha256": None,
}
PLANS: list[tuple[Change, str]] = [
    (lambda m: m.update(plans=None), "plans: got null, expected a value for trt and trt-rtx, else"),
    (lambda m: m.update(target="ort"), "plans: got given, expected a value for trt and trt-rtx"),
    (lambda m: m["plans"]["profiles"].pop("encoder"), "plans.profiles: got those of"),
    (lambda m: m["plans"]["profiles"].update(encoder=[]), "plans.profiles: got those of"),
    (
        lambda m: m["plans"]["profiles"].update(encoder=[{"source": [8, 4, 8]}]),
        "plans.profiles.encoder[0].source: got a list, expected the smallest, the best and the lar",
    ),
    (
        lambda m: m["plans"].update(version="1.7"),
        "plans.compute_capabilities: got a list, expected",
    ),
    (
        lambda m: m["plans"].update(version="1.7", compute_capabilities=["sm89"]),
        'plans.compute_capabilities[0]: got "sm89", expected a compute capability such as "8.9"',
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "operator": "Name"}),
        'plans.plugin.operator: got "Name", expected an operator such as "space::Name"',
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "kernels": "../kernels"}),
        "plans.plugin.kernels: got ",
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "way": "python"}),
        'plans.plugin.way: got "python", expected one where there is a version, else null',
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "way": "wish"}),
        'plans.plugin.way: got "wish", expected one of library, python, aot',
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "library": "a.so"}),
        'plans.plugin.library: got "a.so", expected one where way is "library", else null',
    ),
    (
        lambda m: m["plans"].update(plugin={**PLUGIN, "way": "library", "library": "../a.so"}),
        'plans.plugin.library: got "../a.so", expected the name of a library\'s file, without a f',
    ),
]


@pytest.mark.parametrize(("change", "message"), PLANS)
def test_plans_are_checked(manifest: Manifest, change: Change, message: str) -> None:
    content = with_plans(manifest)
    change(content)
    with pytest.raises(BundleError, match=re.escape(message)):
        parse_manifest(json.dumps(content))
