"""Text in, summary out, by CTranslate2: what the peers' servers have in common.

Only ctranslate2, sentencepiece and the standard library are used here, as the servers run in
several environments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.protocol import LENGTH_PENALTY

RESERVED_IDS, END_ID = 103, 1  # as in harness.shapes, which needs numpy


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """Of a peer's server, as its command line has them in JSON."""

    port: int
    folder: str
    """Converted for CTranslate2."""
    vocabulary: str
    """spiece.model of the checkpoint."""
    compute_type: str
    beams: int
    min_new_tokens: int
    max_new_tokens: int
    threads: int
    """Of one batch."""
    parallel_batches: int = 1
    """In one process, or in as many."""
    max_batch_size: int = 1
    batch_timeout_s: float = 0.0


class CTranslate2Summarizer:
    """A model that is loaded; any number of threads may call it."""

    def __init__(self, settings: PeerSettings, *, parallel_batches: int = 1) -> None:
        import ctranslate2
        import sentencepiece

        self.settings = settings
        self._translator = ctranslate2.Translator(
            settings.folder,
            device="cpu",
            compute_type=settings.compute_type,
            inter_threads=parallel_batches,
            intra_threads=settings.threads,
        )
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=settings.vocabulary)
        tokens = json.loads(Path(settings.folder, "shared_vocabulary.json").read_text("utf-8"))
        self._token_of_id: list[str] = tokens
        self._id_of_token = {token: number for number, token in enumerate(tokens)}

    def summarize(self, texts: Sequence[str]) -> list[str]:
        """All in one batch."""
        settings = self.settings
        found = self._translator.translate_batch(
            [self._encode(text) for text in texts],
            beam_size=settings.beams,
            min_decoding_length=settings.min_new_tokens,
            max_decoding_length=settings.max_new_tokens,
            length_penalty=LENGTH_PENALTY,
            max_input_length=0,
        )
        return [self._decode(each.hypotheses[0]) for each in found]

    def _encode(self, text: str) -> list[str]:
        ids = [RESERVED_IDS + piece for piece in self._pieces.encode(text)]
        return [self._token_of_id[each] for each in (*ids, END_ID)]

    def _decode(self, tokens: Sequence[str]) -> str:
        ids = [self._id_of_token[token] - RESERVED_IDS for token in tokens]
        return str(self._pieces.decode([each for each in ids if each > 0]))
