"""config.pbtxt: what Triton is told of a model.

Source: triton-inference-server/common, protobuf/model_config.proto (July 2026).
"""

import json

from pegasus_runtime.bundle import PLAN_TARGETS, Manifest

__all__ = ["HEADER", "model_config"]

HEADER = "# Made by pegasus-export --triton."
_MAX_BATCH = 16
_TEMPLATE = """\
{header} Change what you like; README.md beside it says what there is.
name: {name}
backend: "python"
max_batch_size: {max_batch}

input [
  { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "OPTIONS" data_type: TYPE_STRING dims: [ 1 ] optional: true }
]
output [
  { name: "SUMMARY" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "SCORE" data_type: TYPE_FP64 dims: [ 1 ] },
  { name: "TOKEN_IDS" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "TRUNCATED" data_type: TYPE_BOOL dims: [ 1 ] },
  { name: "UNKNOWN_SHARE" data_type: TYPE_FP64 dims: [ 1 ] },
  { name: "CONTROL_CHARACTERS" data_type: TYPE_INT32 dims: [ 1 ] },
  { name: "LOOKS_LIKE_HTML" data_type: TYPE_BOOL dims: [ 1 ] }
]

# Each instance is a process with an engine of its own, and on the CPU an engine has all cores.
instance_group [ { {instances} } ]

# Requests wait up to 5 ms for others. Beyond 256 that wait, and after 30 s of waiting, they are
# refused at once; a request may ask for less time.
dynamic_batching {
  preferred_batch_size: [ {max_batch} ]
  max_queue_delay_microseconds: 5000
  default_queue_policy {
    timeout_action: REJECT
    default_timeout_microseconds: 30000000
    allow_timeout_override: true
    max_queue_size: 256
  }
}

# Of the runtime; an empty one is its default.
parameters { key: "threads" value { string_value: "" } }
parameters { key: "long" value { string_value: "error" } }
parameters { key: "max_unknown" value { string_value: "" } }
parameters { key: "newlines" value { string_value: "hf" } }
parameters { key: "provider" value { string_value: "auto" } }
parameters { key: "kernel_cache" value { string_value: "" } }
parameters { key: "warm_up" value { string_value: "{warm_up}" } }
parameters { key: "manifest_sha256" value { string_value: "" } }
"""


def model_config(manifest: Manifest, name: str) -> str:
    """The text of config.pbtxt, for a bundle that `pegasus_runtime.Summarizer` loads.

    name: of the model, which is that of its folder.
    """
    is_on_gpu = manifest.target in PLAN_TARGETS or manifest.precision == "fp16"
    values = {
        "header": HEADER,
        "name": json.dumps(name, ensure_ascii=False),  # the text format's escapes are C's, too
        "max_batch": str(manifest.limits.max_batch or _MAX_BATCH),
        "instances": "count: 1 kind: KIND_GPU gpus: [ 0 ]"
        if is_on_gpu
        else "count: 1 kind: KIND_CPU",
        # What TensorRT for RTX compiles when a size first runs would keep requests waiting.
        "warm_up": "true" if manifest.target == "trt-rtx" else "false",
    }
    text = _TEMPLATE
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text
