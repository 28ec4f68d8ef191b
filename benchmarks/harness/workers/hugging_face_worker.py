"""Runs transformers' generate for a benchmark, or that of an export by Optimum; see protocol.py.

compute_type: a dtype of torch, with "+compile" behind it for a static cache and a compiled forward;
or "onnxruntime" for Optimum's ORTModelForSeq2SeqLM, which runs in Optimum's own environment
(peers.py), with an older transformers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from harness import protocol

COMPILE = "+compile"
OPTIMUM = "onnxruntime"
PAD_ID = 0


def import_engine() -> protocol.Load:
    import torch

    if OPTIMUM in sys.argv[1]:
        from optimum.onnxruntime import ORTModelForSeq2SeqLM  # noqa: F401  (counts as import)
    else:
        from transformers import AutoModelForSeq2SeqLM  # noqa: F401

    def load(settings: protocol.WorkerSettings) -> protocol.Prepare:
        if settings.threads:
            torch.set_num_threads(settings.threads)
        model = _load_optimum(settings) if settings.compute_type == OPTIMUM else _load(settings)
        static: dict[str, str] = {}
        if settings.compute_type.endswith(COMPILE):
            model.forward = torch.compile(model.forward)
            static = {"cache_implementation": "static"}

        def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
            protocol.refuse_batch_settings(request)
            rows, row_masks = pad_sources(request.sources)
            ids = torch.tensor(rows, device=settings.device)
            mask = torch.tensor(row_masks, device=settings.device)
            if settings.encoder_only:
                return lambda: _encode(model, ids, mask)

            def generate() -> protocol.Tokens:
                with torch.inference_mode():
                    found = model.generate(
                        input_ids=ids,
                        attention_mask=mask,
                        num_beams=request.beams,
                        min_new_tokens=request.new_tokens,
                        max_new_tokens=request.new_tokens,
                        length_penalty=protocol.LENGTH_PENALTY,
                        do_sample=False,
                        **static,
                    )
                rows = found.tolist()  # waits for the device
                return [row[1 : 1 + count_new_tokens(row)] for row in rows]

            return generate

        return prepare

    return load


def _load(settings: protocol.WorkerSettings) -> Any:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    dtype = getattr(torch, settings.compute_type.removesuffix(COMPILE))
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(settings.folder, dtype=dtype)
    return model.eval().to(settings.device)


def _load_optimum(settings: protocol.WorkerSettings) -> Any:
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    how = {"use_cache": True, "provider": "CPUExecutionProvider", "session_options": options}
    return ORTModelForSeq2SeqLM.from_pretrained(settings.folder, **how)


def _encode(model: Any, ids: Any, mask: Any) -> protocol.Tokens:
    import torch

    encoder = model.get_encoder()
    if hasattr(encoder, "set_attention_type"):
        encoder.set_attention_type("block_sparse")  # after a short document it stays full
    with torch.inference_mode():
        encoder(input_ids=ids, attention_mask=mask)
    return [()] * len(ids)


def pad_sources(sources: protocol.Tokens) -> tuple[list[list[int]], list[list[int]]]:
    """Ids padded at the end to the longest document, and the mask that is 1 on real tokens."""
    longest = max(map(len, sources))
    gaps = [longest - len(source) for source in sources]
    ids = [[*source, *[PAD_ID] * gap] for source, gap in zip(sources, gaps, strict=True)]
    return ids, [[1] * (longest - gap) + [0] * gap for gap in gaps]


def count_new_tokens(row: Sequence[int]) -> int:
    """Tokens of a generated row: without the start token, and without padding at the end."""
    length = len(row)
    while length > 1 and row[length - 1] == PAD_ID:
        length -= 1
    return length - 1


if __name__ == "__main__":
    packages = ("transformers", "torch", "optimum-onnx", "numpy")
    sys.exit(protocol.run_worker(import_engine, packages))
