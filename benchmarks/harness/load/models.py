"""The two models that servers are measured with, their documents, and the files that each loads."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from harness.ctranslate2_from_checkpoint import convert_checkpoint
from harness.engines import ENGINES
from harness.machine import REPOSITORY
from harness.prepare import prepare_engines
from harness.rounds import Timings
from harness.shapes import XSUM, Shape, random_lengths, write_checkpoint
from harness.worker_process import WorkerError

sys.path.insert(0, str(REPOSITORY / "examples"))

from wire_reports import HELD_OUT_SEEDS, generate_report

MINI = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
MINI_BEAMS, MINI_NEW_TOKENS = 8, 63  # what its generation_config.json comes to
SHORTEST_TOKENS, LONGEST_TOKENS = 100, 512
NAMES = ("pegasus-mini", "xsum shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model: as ours and as the peers load it, and what it is asked."""

    name: str
    bundle: Path
    peer_folder: Path
    compute_type: str
    """CTranslate2's."""
    vocabulary: Path
    texts: Sequence[str]
    beams: int
    min_new_tokens: int
    max_new_tokens: int
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Of our requests; what is not in it is the bundle's."""


def prepare_mini(work_dir: Path, documents: int) -> ServedModel:
    """The demo checkpoint in fp32, on held-out reports: real summaries of real lengths."""
    from pegasus_export.stages.export import ExportRequest, export_bundle

    bundle, peer = work_dir / "pegasus-mini-served", work_dir / "pegasus-mini-for-ctranslate2"
    export_bundle(ExportRequest(model=str(MINI), output=bundle, force=True))
    if not (peer / "model.bin").is_file():
        convert_checkpoint(MINI, peer, quantization="float32")
    return ServedModel(
        name="pegasus-mini",
        bundle=bundle,
        peer_folder=peer,
        compute_type="float32",
        vocabulary=MINI / "spiece.model",
        texts=[generate_report(seed).document for seed in HELD_OUT_SEEDS[:documents]],
        beams=MINI_BEAMS,
        min_new_tokens=1,
        max_new_tokens=MINI_NEW_TOKENS,
    )


def prepare_shape(
    work_dir: Path, documents: int, *, new_tokens: int, shape: Shape = XSUM
) -> ServedModel:
    """A published shape with random weights, int8; every summary is of ``new_tokens`` tokens."""
    checkpoint, timings = write_checkpoint(work_dir, shape), Timings()
    engines = [ENGINES["cpu"][f"{family}-int8"] for family in ("pegasus-edge", "ctranslate2")]
    folders = prepare_engines(engines, checkpoint, work_dir, timings)
    if timings.missing:
        raise WorkerError("; ".join(f"{name}: {why}" for name, why in timings.missing.items()))
    lengths = random_lengths(
        documents, shortest=SHORTEST_TOKENS, longest=LONGEST_TOKENS, seed=shape.seed
    )
    return ServedModel(
        name="xsum shape",
        bundle=folders["pegasus-edge-int8"],
        peer_folder=folders["ctranslate2-int8"],
        compute_type="int8",
        vocabulary=checkpoint / "spiece.model",
        texts=texts_of_lengths(lengths, checkpoint / "spiece.model"),
        beams=8,
        min_new_tokens=new_tokens,
        max_new_tokens=new_tokens,
        parameters={
            "num_beams": 8,
            "min_new_tokens": new_tokens,
            "max_new_tokens": new_tokens,
            "length_penalty": 0.6,
        },
    )


def texts_of_lengths(tokens: Sequence[int], vocabulary: Path) -> list[str]:
    """A text for each length, the end token included: words of held-out reports, until one more
    would be too many."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
    found, seeds = [], count()
    for length in tokens:
        words: list[str] = []
        while len(pieces.encode(" ".join(words))) < length:
            seed = next(islice(seeds, 1))
            words += generate_report(HELD_OUT_SEEDS[seed]).document.split()
        low, high = 0, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(pieces.encode(" ".join(words[:middle]))) < length
            low, high = (middle, high) if fits else (low, middle - 1)
        found.append(" ".join(words[:low]))
    return found
