"""The SentencePiece model of pegasus-mini, in the form of the published PEGASUS vocabularies."""

from __future__ import annotations

import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from wire_reports import TRAIN_SEEDS, generate_report

__all__ = ["EOS_ID", "PAD_ID", "PIECE_OFFSET", "SENTENCE_BREAK", "Vocabulary", "train_pieces"]

PAD_ID, EOS_ID = 0, 1
PIECE_OFFSET = 103  # model id = piece id + 103, but for <pad> and </s>
SENTENCE_BREAK = "<n>"  # PEGASUS writes it where a summary has a line break


class Vocabulary:
    """Text to model ids and back."""

    def __init__(self, spiece_model: Path) -> None:
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(spiece_model))

    def __len__(self) -> int:
        return int(self._pieces.get_piece_size()) + PIECE_OFFSET

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``, with ``</s>`` at the end."""
        pieces: list[int] = self._pieces.encode(text.replace("\n", SENTENCE_BREAK))
        return [piece + PIECE_OFFSET for piece in pieces] + [EOS_ID]

    def decode(self, ids: list[int]) -> str:
        """The text of ``ids``; a sentence break becomes a line break."""
        text: str = self._pieces.decode([i - PIECE_OFFSET for i in ids if i > PIECE_OFFSET])
        return text.replace(SENTENCE_BREAK, "\n")


def train_pieces(n_reports: int, n_pieces: int) -> bytes:
    """A unigram model with the ids, special pieces and normaliser of the PEGASUS vocabulary."""
    lines = list(_training_lines(n_reports))
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seed_pieces.tsv"
        rows = "".join(f"{piece}\t{n}\n" for piece, n in _seed_pieces(lines).items())
        seeds.write_text(rows, encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="unigram",
            vocab_size=n_pieces,
            hard_vocab_limit=False,
            seed_sentencepieces_file=str(seeds),
            character_coverage=1.0,
            normalization_rule_name="nmt_nfkc",
            pad_id=PAD_ID,
            eos_id=EOS_ID,
            unk_id=2,
            bos_id=-1,
            user_defined_symbols=[SENTENCE_BREAK],
            num_threads=2,
            minloglevel=2,
        )
    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    proto.ParseFromString(model.getvalue())
    proto.trainer_spec.ClearField("seed_sentencepieces_file")  # a temporary path
    serialized: bytes = proto.SerializeToString()
    return serialized


def _seed_pieces(lines: list[str]) -> Counter[str]:
    """Whole words, figures, and fragments of up to four characters, with their frequencies.

    SentencePiece's own seeds are strings that occur in two different words. In a text made from
    templates most words have no relatives, so they would all end up in fragments.
    """
    words = Counter(word for line in lines for word in line.split())
    seeds: Counter[str] = Counter()
    for word, n in words.items():
        for part in re.findall(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]", "\u2581" + word):
            for length in range(1, 5):
                for start in range(len(part) - length + 1):
                    seeds[part[start : start + length]] += n
            if len(part) > 4:
                seeds[part] += n
        for part in re.findall(r"^\$?[A-Za-z]+|^\$?[0-9]+", word):
            seeds["\u2581" + part] += n
    return Counter({piece: n for piece, n in seeds.items() if n >= 20})


def _training_lines(n_reports: int) -> Iterator[str]:
    for seed in TRAIN_SEEDS[:n_reports]:
        report = generate_report(seed)
        yield from report.sentences
        yield from report.summary.split("\n")
