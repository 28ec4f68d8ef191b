"""Runs a model converted for CTranslate2 for a benchmark; see line_protocol.py.

The choice of its matrix library is left to CTranslate2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from workers.line_protocol import (
    LENGTH_PENALTY,
    GenerationRequest,
    Load,
    Prepare,
    WorkerSettings,
    run_worker,
)


def import_engine() -> Load:
    import ctranslate2

    def load(settings: WorkerSettings) -> Prepare:
        translator = ctranslate2.Translator(
            str(settings.folder),
            device="cpu",
            compute_type=settings.compute_type,
            inter_threads=settings.parallel_batches,
            intra_threads=settings.threads,
        )
        token_of_id = json.loads((settings.folder / "shared_vocabulary.json").read_text())

        def prepare(request: GenerationRequest) -> Callable[[], Sequence[int]]:
            sources = [[token_of_id[token] for token in source] for source in request.sources]

            def generate() -> list[int]:
                found = translator.translate_batch(
                    sources,
                    beam_size=request.beams,
                    max_decoding_length=request.new_tokens,
                    min_decoding_length=request.new_tokens,
                    length_penalty=LENGTH_PENALTY,
                    num_hypotheses=1,
                    max_input_length=max(map(len, sources)),
                    max_batch_size=request.max_batch_size,
                    batch_type=request.batch_type,
                )
                return [len(result.hypotheses[0]) for result in found]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    sys.exit(run_worker(__doc__ or "", import_engine, ("ctranslate2", "numpy")))
