"""Runs transformers' generate for a benchmark, or that of an export by Optimum; see protocol.py.

compute_type: a dtype of torch, with "+compile" behind it for a static cache and a compiled forward;
or "onnxruntime" for Optimum's ORTModelForSeq2SeqLM, which runs in Optimum's own environment
(peers.py), with an older transformers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
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

        if settings.encoder_only:
            return _prepare_encode(model, settings.device)
        return prepare_generate(model, settings.device, static)

    return load


def prepare_generate(
    model: Any, device: str, options: Mapping[str, str] | None = None
) -> protocol.Prepare:
    """Beam search of transformers. options: what else its ``generate`` takes."""
    import torch

    def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
        ids, mask = _take(request, device)

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
                    **(options or {}),
                )
            rows = found.tolist()  # waits for the device
            return [row[1 : 1 + count_new_tokens(row)] for row in rows]

        return generate

    return prepare


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


def _prepare_encode(model: Any, device: str) -> protocol.Prepare:
    import torch

    def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
        ids, mask = _take(request, device)

        def encode() -> protocol.Tokens:
            encoder = model.get_encoder()
            if hasattr(encoder, "set_attention_type"):
                encoder.set_attention_type("block_sparse")  # after a short document it stays full
            with torch.inference_mode():
                encoder(input_ids=ids, attention_mask=mask)
            return [()] * len(ids)

        return encode

    return prepare


def _take(request: protocol.Request, device: str) -> tuple[Any, Any]:
    """Its ids and mask, as tensors. Raises: ValueError for batch settings."""
    import torch

    protocol.refuse_batch_settings(request)
    ids, mask = pad_sources(request.sources)
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


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
