"""Runs a bundle of pegasus-edge on the GPU; see token_protocol.py. compute_type: the provider."""

from __future__ import annotations

import sys
from collections.abc import Callable

from gpu.workers.token_protocol import Load, Prepare, Tokens, WorkerSettings, run_worker
from workers.line_protocol import LENGTH_PENALTY, GenerationRequest, refuse_batch_settings


def import_engine() -> Load:
    from pegasus_runtime import GenerationOptions, Summarizer

    def load(settings: WorkerSettings) -> Prepare:
        summarizer = Summarizer.load(settings.folder, provider=settings.compute_type)

        def prepare(request: GenerationRequest) -> Callable[[], Tokens]:
            refuse_batch_settings(request)
            options = GenerationOptions(
                num_beams=request.beams,
                max_new_tokens=request.new_tokens,
                min_new_tokens=request.new_tokens,
                length_penalty=LENGTH_PENALTY,
            )

            def generate() -> Tokens:
                found = summarizer.generate(request.sources, options)
                return [hypotheses[0].token_ids for hypotheses in found]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    libraries = ("tensorrt", "tensorrt-rtx-cu13", "onnxruntime-gpu", "onnxruntime", "cuda-bindings")
    sys.exit(run_worker(__doc__ or "", import_engine, ("pegasus-edge", *libraries, "numpy")))
