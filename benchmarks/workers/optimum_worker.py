"""Runs an export of Optimum with ORTModelForSeq2SeqLM for a benchmark; see line_protocol.py.

It runs in Optimum's own environment (peers.py), which has an older transformers.
"""

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
    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    def load(settings: WorkerSettings) -> Prepare:
        torch.set_num_threads(settings.threads)  # of the beam search around the graphs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        model = ORTModelForSeq2SeqLM.from_pretrained(
            settings.folder,
            use_cache=True,
            provider="CPUExecutionProvider",
            session_options=options,
        )

        def prepare(request: GenerationRequest) -> Callable[[], Sequence[int]]:
            refuse_batch_settings(request)
            rows, row_masks = pad_sources(request.sources)
            ids, mask = torch.tensor(rows), torch.tensor(row_masks)

            def generate() -> list[int]:
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
    packages = ("optimum-onnx", "onnxruntime", "transformers", "torch", "numpy")
    sys.exit(run_worker(__doc__ or "", import_engine, packages))
