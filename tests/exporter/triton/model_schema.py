"""The part of Triton's schema of config.pbtxt that ours uses, for the text format's own parser.

Source: triton-inference-server/common, protobuf/model_config.proto (July 2026), names and types of
the fields. Where tritonclient is installed, its `model_config_pb2` is the whole schema.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

_FIELDS: dict[str, dict[str, str]] = {
    "ModelInput": {"name": "string", "data_type": "DataType", "dims": "int64*", "optional": "bool"},
    "ModelOutput": {"name": "string", "data_type": "DataType", "dims": "int64*"},
    "ModelInstanceGroup": {"count": "int32", "kind": "Kind", "gpus": "int32*"},
    "ModelQueuePolicy": {
        "timeout_action": "TimeoutAction",
        "default_timeout_microseconds": "uint64",
        "allow_timeout_override": "bool",
        "max_queue_size": "uint32",
    },
    "ModelDynamicBatching": {
        "preferred_batch_size": "int32*",
        "max_queue_delay_microseconds": "uint64",
        "default_queue_policy": "ModelQueuePolicy",
    },
    "ModelParameter": {"string_value": "string"},
    "ParametersEntry": {"key": "string", "value": "ModelParameter"},
    "ModelConfig": {
        "name": "string",
        "backend": "string",
        "max_batch_size": "int32",
        "input": "ModelInput*",
        "output": "ModelOutput*",
        "instance_group": "ModelInstanceGroup*",
        "dynamic_batching": "ModelDynamicBatching",
        "parameters": "ParametersEntry*",
    },
}
_ENUMS = {
    "DataType": ["TYPE_INVALID", "TYPE_BOOL", "TYPE_INT32", "TYPE_FP64", "TYPE_STRING"],
    "Kind": ["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"],
    "TimeoutAction": ["REJECT", "DELAY"],
}


def parse_config(text: str) -> Any:
    """A ModelConfig of our part of the schema. Raises: text_format.ParseError."""
    return text_format.Parse(text, _our_part()())


def whole_schema() -> Any | None:
    """tritonclient's module, without its client for gRPC; None where it is not installed."""
    client = importlib.util.find_spec("tritonclient")
    if client is None or client.origin is None:
        return None
    path = Path(client.origin).parent / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _our_part() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="ours.proto", package="ours", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            one = kind.rstrip("*")
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            if one in _FIELDS or one in _ENUMS:
                added.type = kinds.TYPE_MESSAGE if one in _FIELDS else kinds.TYPE_ENUM
                added.type_name = f".ours.{one}"
            else:
                added.type = kinds.Type.Value(f"TYPE_{one.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("ours.ModelConfig"))
