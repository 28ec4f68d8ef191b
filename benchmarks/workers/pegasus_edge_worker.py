"""Runs a bundle of pegasus-edge for a benchmark; see line_protocol.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from workers.line_protocol import (
    LENGTH_PENALTY,
    GenerationRequest,
    Load,
    Prepare,
    WorkerSettings,
    refuse_batch_settings,
    run_worker,
)


def import_engine() -> Load:
    import onnxruntime  # noqa: F401  (else loading a bundle would import it)

    from pegasus_runtime import GenerationOptions, Summarizer

    def load(settings: WorkerSettings) -> Prepare:
        summarizer = Summarizer.load(settings.folder, threads=settings.threads)

        def prepare(request: GenerationRequest) -> Callable[[], Sequence[int]]:
            refuse_batch_settings(request)
            options = GenerationOptions(
                num_beams=request.beams,
                max_new_tokens=request.new_tokens,
                min_new_tokens=request.new_tokens,
                length_penalty=LENGTH_PENALTY,
            )

            def generate() -> list[int]:
                found = summarizer.generate(request.sources, options)
                return [len(hypotheses[0].token_ids) for hypotheses in found]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    packages = ("pegasus-edge", "onnxruntime", "numpy")
    sys.exit(run_worker(__doc__ or "", import_engine, packages))
