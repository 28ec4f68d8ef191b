"""Runs a checkpoint with transformers' generate for a benchmark; see line_protocol.py."""

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
from workers.padded_batch import count_new_tokens, pad_sources


def import_engine() -> Load:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    def load(settings: WorkerSettings) -> Prepare:
        torch.set_num_threads(settings.threads)
        model = AutoModelForSeq2SeqLM.from_pretrained(settings.folder, dtype=torch.float32)
        model = model.eval()

        def prepare(request: GenerationRequest) -> Callable[[], Sequence[int]]:
            refuse_batch_settings(request)
            rows, row_masks = pad_sources(request.sources)
            ids, mask = torch.tensor(rows), torch.tensor(row_masks)

            def generate() -> list[int]:
                with torch.inference_mode():
                    found = model.generate(
                        input_ids=ids,
                        attention_mask=mask,
                        num_beams=request.beams,
                        min_new_tokens=request.new_tokens,
                        max_new_tokens=request.new_tokens,
                        length_penalty=LENGTH_PENALTY,
                        do_sample=False,
                    )
                return [count_new_tokens(row) for row in found.tolist()]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    sys.exit(run_worker(__doc__ or "", import_engine, ("transformers", "torch", "numpy")))
