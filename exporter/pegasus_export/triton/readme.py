"""README.md of a model in Triton's repository: how to start it, how to ask it."""

from collections.abc import Mapping

from pegasus_runtime.bundle import Manifest, Target
from pegasus_runtime.version import __version__

__all__ = ["model_readme"]

_EXTRAS: Mapping[Target, str] = {"ort": "cpu", "trt": "trt", "trt-rtx": "rtx"}
_TEMPLATE = """\
# {name}

A bundle of target `{target}`, {precision}, behind Triton's Python backend; made by pegasus-edge
{version}. `1/model.py` runs it with pegasus_runtime, `1/bundle` is the bundle. It was checked
against Triton's schema and against stand-ins of its interface, not in Triton: it needs 23.10 or
newer.

## Start

In the folder that holds this one, with an image of Triton for `YY.MM`:

    docker run --rm {gpus}--shm-size=256m -p 8000:8000 -p 8001:8001 -p 8002:8002 \\
        -v "$PWD":/models:ro nvcr.io/nvidia/tritonserver:YY.MM-py3 \\
        bash -c "pip install 'pegasus-edge[{extra}]' && tritonserver --model-repository=/models"

Or put the `pip install` into an image of your own, so that it starts without a network.

## Ask

Over HTTP:

    curl -s localhost:8000/v2/models/{name}/infer -d '{
      "inputs": [
        {"name": "TEXT", "shape": [1, 1], "datatype": "BYTES", "data": ["A long text ..."]},
        {"name": "OPTIONS", "shape": [1, 1], "datatype": "BYTES", "data": ["{\\"num_beams\\": 4}"]}
      ]
    }'
    curl -s localhost:8000/v2/models/{name}/ready -o /dev/null -w '%{http_code}\\n'
    curl -s localhost:8002/metrics | grep {name}

From Python, with `pip install 'tritonclient[http]'`:

    import numpy as np
    import tritonclient.http as triton

    client = triton.InferenceServerClient("localhost:8000")
    text = triton.InferInput("TEXT", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([["A long text ..."]], dtype=object))
    options = triton.InferInput("OPTIONS", [1, 1], "BYTES")
    options.set_data_from_numpy(np.array([['{"num_beams": 4}']], dtype=object))
    result = client.infer("{name}", [text, options])
    print(result.as_numpy("SUMMARY")[0, 0].decode(), result.as_numpy("SCORE")[0, 0])

## Inputs and outputs

- `TEXT`: the document, in UTF-8.
- `OPTIONS`, which may be left out: an object of JSON with the names of Hugging Face's `generate`.
  Texts with the same options run together.
- `SUMMARY`, `SCORE`; `TOKEN_IDS`, filled up with -1 where a request has several texts;
  `TRUNCATED`: whether the document's end was cut; `UNKNOWN_SHARE`, `CONTROL_CHARACTERS`,
  `LOOKS_LIKE_HTML`: what of it the model cannot read.

A text that is empty, too long, or refused by max_unknown fails its own request, with Triton's
code INVALID_ARG.

## Settings

In `config.pbtxt`: `max_batch_size`, how long requests wait for others, how many may wait, and
parameters of the runtime:

- `threads`: of an engine on the CPU, all cores if empty. Several instances share them only if you
  share them out.
- `long`: `error` refuses a document over {max_source_tokens} tokens, `truncate` cuts its end,
  `chunk` summarises it in windows and joins what they say.
- `max_unknown`: refuses a document of which the tokenizer does not know a larger share, from 0 to
  1.
- `newlines`: `hf` or `original`. `provider`: `auto`, `cpu`, `cuda` or `tensorrt`.
- `kernel_cache`: a file that keeps what TensorRT for RTX compiles, and `warm_up`: `true` has it
  compiled before the first request.
- `manifest_sha256`: serves only the bundle whose manifest.json has this sum, and compares its
  files.
"""


def model_readme(manifest: Manifest, name: str) -> str:
    """Markdown. name: of the model, which is that of its folder."""
    extra = "gpu" if (manifest.target, manifest.precision) == ("ort", "fp16") else None
    values = {
        "name": name,
        "target": manifest.target,
        "precision": manifest.precision,
        "version": __version__,
        "extra": extra or _EXTRAS[manifest.target],
        "gpus": "" if (extra or _EXTRAS[manifest.target]) == "cpu" else "--gpus=1 ",
        "max_source_tokens": str(manifest.limits.max_source_tokens),
    }
    text = _TEMPLATE
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text
