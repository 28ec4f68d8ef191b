"""Runs a checkpoint with transformers' generate on the GPU; see token_protocol.py.

compute_type: a dtype of torch; with "+compile" behind it, the cache is static and the model's
forward compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from gpu.workers.token_protocol import Load, Prepare, Tokens, WorkerSettings, run_worker
from workers.line_protocol import LENGTH_PENALTY, GenerationRequest, refuse_batch_settings
from workers.padded_batch import count_new_tokens, pad_sources

COMPILE = "+compile"


def import_engine() -> Load:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    def load(settings: WorkerSettings) -> Prepare:
        dtype = getattr(torch, settings.compute_type.removesuffix(COMPILE))
        model: Any = AutoModelForSeq2SeqLM.from_pretrained(settings.folder, dtype=dtype)
        model = model.eval().to(settings.device)
        static: dict[str, str] = {}
        if settings.compute_type.endswith(COMPILE):
            model.forward = torch.compile(model.forward)
            static = {"cache_implementation": "static"}

        def prepare(request: GenerationRequest) -> Callable[[], Tokens]:
            refuse_batch_settings(request)
            rows, row_masks = pad_sources(request.sources)
            ids = torch.tensor(rows, device=settings.device)
            mask = torch.tensor(row_masks, device=settings.device)

            def generate() -> Tokens:
                with torch.inference_mode():
                    found = model.generate(
                        input_ids=ids,
                        attention_mask=mask,
                        num_beams=request.beams,
                        min_new_tokens=request.new_tokens,
                        max_new_tokens=request.new_tokens,
                        length_penalty=LENGTH_PENALTY,
                        do_sample=False,
                        **static,
                    )
                rows = found.tolist()  # waits for the GPU
                return [row[1 : 1 + count_new_tokens(row)] for row in rows]

            return generate

        return prepare

    return load


if __name__ == "__main__":
    sys.exit(run_worker(__doc__ or "", import_engine, ("transformers", "torch", "numpy")))
