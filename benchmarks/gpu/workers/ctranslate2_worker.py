"""Runs a model converted for CTranslate2 on the GPU; see token_protocol.py.

compute_type: CTranslate2's, to which the model's fp32 weights are converted when it is loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from gpu.workers.token_protocol import Load, Prepare, Tokens, WorkerSettings, run_worker
from workers.line_protocol import LENGTH_PENALTY, GenerationRequest, refuse_batch_settings


def import_engine() -> Load:
    import ctranslate2

    def load(settings: WorkerSettings) -> Prepare:
        translator = ctranslate2.Translator(
            str(settings.folder), device=settings.device, compute_type=settings.compute_type
        )
        token_of_id = json.loads((settings.folder / "shared_vocabulary.json").read_text())
        id_of_token = {token: number for number, token in enumerate(token_of_id)}

        def prepare(request: GenerationRequest) -> Callable[[], Tokens]:
            refuse_batch_settings(request)
            sources = [[token_of_id[token] for token in source] for source in request.sources]

            def generate() -> Tokens:
                found = translator.translate_batch(
                    sources,
                    beam_size=request.beams,
                    max_decoding_length=request.new_tokens,
                    min_decoding_length=request.new_tokens,
                    length_penalty=LENGTH_PENALTY,
                    num_hypotheses=1,
                    max_input_length=max(map(len, sources)),
                )
                return [[id_of_token[token] for token in result.hypotheses[0]] for result in found]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    sys.exit(run_worker(__doc__ or "", import_engine, ("ctranslate2", "numpy")))
