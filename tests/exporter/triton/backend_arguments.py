"""What Triton gives to `initialize`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from exporter.triton.model_schema import parse_config


def read_config(place: Path) -> dict[str, Any]:
    """As `args["model_config"]` has it: JSON, parameters by their keys."""
    config = json_format.MessageToDict(
        parse_config((place / "config.pbtxt").read_text("utf-8")), preserving_proto_field_name=True
    )
    config["parameters"] = {
        each["key"]: {"string_value": each["value"].get("string_value", "")}
        for each in config["parameters"]
    }
    return config


def arguments(place: Path, **parameters: str) -> dict[str, str]:
    """What `initialize` is given."""
    config = read_config(place)
    config["parameters"] |= {key: {"string_value": value} for key, value in parameters.items()}
    return {
        "model_config": json.dumps(config),
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
        "model_repository": str(place),
        "model_version": "1",
        "model_name": place.name,
    }
