"""Runs the encoder of one engine on documents of given lengths, for long_documents.py.

Writes {"ready": true}, and then answers each line {"tokens": n} with {"seconds", "peak_rss_bytes"}
or with {"error": message}. It runs in several environments, so it imports what an engine needs
when it has been told which.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from workers.line_protocol import peak_rss_bytes

Encode = Callable[[Sequence[int]], object]
FIRST_ID, LAST_ID, END_ID = 110, 90_000, 1


def load_pegasus_edge(folder: Path, threads: int) -> Encode:
    from pegasus_runtime.bundle import open_bundle
    from pegasus_runtime.sessions.ort.encoder import OrtEncoder

    encoder = OrtEncoder(open_bundle(folder), threads=threads)
    return lambda ids: encoder.encode([ids])


def load_transformers(folder: Path, threads: int) -> Encode:
    import torch
    from transformers import BigBirdPegasusForConditionalGeneration

    torch.set_num_threads(threads)
    model = BigBirdPegasusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    encoder = model.eval().get_encoder()

    def encode(ids: Sequence[int]) -> object:
        encoder.set_attention_type("block_sparse")  # after a short document it stays full
        input_ids = torch.tensor([list(ids)])
        with torch.inference_mode():
            return encoder(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))

    return encode


def load_optimum(folder: Path, threads: int) -> Encode:
    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForSeq2SeqLM.from_pretrained(
        folder, use_cache=True, provider="CPUExecutionProvider", session_options=options
    )

    def encode(ids: Sequence[int]) -> object:
        input_ids = torch.tensor([list(ids)])
        return model.encoder(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))

    return encode


LOADERS = {
    "pegasus-edge": load_pegasus_edge,
    "transformers": load_transformers,
    "optimum": load_optimum,
}


def measure(encode: Encode, tokens: int) -> dict[str, object]:
    drawn = random.Random(tokens)
    ids = [*(drawn.randint(FIRST_ID, LAST_ID) for _ in range(tokens - 1)), END_ID]
    try:
        started = time.perf_counter()
        encode(ids)
        seconds = time.perf_counter() - started
    except Exception as err:  # whatever an engine raises belongs to the benchmark, not here
        traceback.print_exc()
        return {"error": f"{type(err).__name__}: {err}"}
    return {"seconds": seconds, "peak_rss_bytes": peak_rss_bytes()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=tuple(LOADERS), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others write to stdout goes to stderr from now on
    encode = LOADERS[arguments.family](arguments.folder, arguments.threads)
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(encode, json.loads(line)["tokens"])), file=replies, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
