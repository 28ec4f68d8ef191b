"""A checkpoint of the zoo as transformers reads it, and what it says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from exporter.tiny_checkpoint import tiny_sentences
from runtime.search.oracle import cut_after_eos

__all__ = ["TEXTS", "Oracle"]

TEXTS = (
    tiny_sentences()[0],
    " ".join(tiny_sentences()[5:7]),
    "The <sep> old [NAME] bank sold the stone bridge<hl> near the river, 的一 word.",
)


class Oracle:
    """transformers' model of a folder, and its tokenizer where it has one that reads rightly."""

    def __init__(self, folder: Path, *, with_tokenizer: bool) -> None:
        import transformers

        library: Any = transformers
        library.logging.set_verbosity_error()
        self.model = library.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype="float32").eval()
        self.tokenizer = None
        if with_tokenizer:
            self.tokenizer = library.AutoTokenizer.from_pretrained(folder)

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""
        ids: list[int] = self.tokenizer(text).input_ids
        return ids

    def generate(self, source: Sequence[int], **options: Any) -> list[tuple[int, ...]]:
        """What `generate` gives of one document: no start token, no padding, EOS kept."""
        if hasattr(self.model.get_encoder(), "set_attention_type"):
            kind = self.model.config.attention_type
            self.model.get_encoder().set_attention_type(kind)  # it stays in full after a short one
        ids = torch.tensor([list(source)])
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            found = self.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), **options
            )
        sequences = found if isinstance(found, torch.Tensor) else found.sequences
        return [cut_after_eos(row[1:], self._eos()) for row in sequences.tolist()]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a summary."""
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def _eos(self) -> tuple[int, ...]:
        eos = self.model.generation_config.eos_token_id
        return tuple(eos) if isinstance(eos, list) else (eos,)
