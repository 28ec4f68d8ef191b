"""config.pbtxt, by the text format's own parser and Triton's schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format

from exporter.triton.model_schema import parse_config, whole_schema
from pegasus_export.triton.config import model_config
from pegasus_runtime.bundle import Manifest, Target, open_bundle


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Callable[..., Path]) -> Manifest:
    return open_bundle(tiny_bundle()).manifest


def test_it_says_what_the_model_is_and_how_requests_are_joined(manifest: Manifest) -> None:
    config = parse_config(model_config(manifest, "xsum-int8.v2"))
    assert (config.name, config.backend, config.max_batch_size) == ("xsum-int8.v2", "python", 16)
    assert [each.name for each in config.input if not each.optional] == ["TEXT"]
    batching = config.dynamic_batching
    assert list(batching.preferred_batch_size) == [16]
    assert batching.max_queue_delay_microseconds == 5000
    assert batching.default_queue_policy.max_queue_size == 256
    assert batching.default_queue_policy.timeout_action == 0  # REJECT
    assert batching.default_queue_policy.allow_timeout_override
    assert batching.default_queue_policy.default_timeout_microseconds == 30_000_000
    (group,) = config.instance_group
    assert (group.count, list(group.gpus)) == (1, [])
    assert {each.key: each.value.string_value for each in config.parameters} == {
        "threads": "",
        "long": "error",
        "max_unknown": "",
        "newlines": "hf",
        "provider": "auto",
        "kernel_cache": "",
        "warm_up": "false",
        "manifest_sha256": "",
    }


@pytest.mark.parametrize(
    ("target", "precision", "gpus", "warms_up"),
    [
        ("ort", "int8", [], "false"),
        ("ort", "fp16", [0], "false"),
        ("trt", "fp16", [0], "false"),
        ("trt-rtx", "int8", [0], "true"),
    ],
)
def test_gpus_are_for_bundles_that_run_there(
    manifest: Manifest, target: Target, precision: str, gpus: list[int], warms_up: str
) -> None:
    limits = replace(manifest.limits, max_batch=4)
    changed = replace(manifest, target=target, precision=precision, limits=limits)
    text = model_config(changed, "x")
    config = parse_config(text)
    (group,) = config.instance_group
    assert list(group.gpus) == gpus
    assert ("kind: KIND_GPU" in text) == bool(gpus)
    assert (config.max_batch_size, list(config.dynamic_batching.preferred_batch_size)) == (4, [4])
    warm = [each.value.string_value for each in config.parameters if each.key == "warm_up"]
    assert warm == [warms_up]


@pytest.mark.skipif(whole_schema() is None, reason="tritonclient is not installed")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_is_of_tritons_whole_schema(manifest: Manifest, precision: str) -> None:
    schema = whole_schema()
    assert schema is not None
    text = model_config(replace(manifest, precision=precision), "x")
    config = text_format.Parse(text, schema.ModelConfig())
    assert config.input[0].data_type == schema.TYPE_STRING
    assert config.instance_group[0].kind == (
        schema.ModelInstanceGroup.KIND_GPU
        if precision == "fp16"
        else schema.ModelInstanceGroup.KIND_CPU
    )
    assert config.parameters["long"].string_value == "error"
    assert config.dynamic_batching.default_queue_policy.allow_timeout_override


def test_the_parser_refuses_what_the_schema_has_not() -> None:
    with pytest.raises(text_format.ParseError):
        parse_config('name: "x" max_batch: 4')
