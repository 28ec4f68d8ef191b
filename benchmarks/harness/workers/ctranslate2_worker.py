"""Runs a model converted for CTranslate2 for a benchmark; see protocol.py.

compute_type: CTranslate2's, to which weights are converted when they are loaded. The choice of its
matrix library is left to it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from harness import protocol


def import_engine() -> protocol.Load:
    import ctranslate2

    def load(settings: protocol.WorkerSettings) -> protocol.Prepare:
        translator = ctranslate2.Translator(
            settings.folder,
            device=settings.device,
            compute_type=settings.compute_type,
            inter_threads=settings.parallel_batches,
            intra_threads=settings.threads,
        )
        token_of_id = json.loads(Path(settings.folder, "shared_vocabulary.json").read_text())
        id_of_token = {token: number for number, token in enumerate(token_of_id)}

        def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
            sources = [[token_of_id[token] for token in source] for source in request.sources]

            def generate() -> protocol.Tokens:
                found = translator.translate_batch(
                    sources,
                    beam_size=request.beams,
                    max_decoding_length=request.new_tokens,
                    min_decoding_length=request.new_tokens,
                    length_penalty=protocol.LENGTH_PENALTY,
                    num_hypotheses=1,
                    max_input_length=max(map(len, sources)),
                    max_batch_size=request.max_batch_size,
                    batch_type=request.batch_type,
                )
                return [[id_of_token[token] for token in result.hypotheses[0]] for result in found]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    sys.exit(protocol.run_worker(import_engine, ("ctranslate2", "numpy")))
