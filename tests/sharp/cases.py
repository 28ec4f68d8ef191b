"""Exports of sharp checkpoints: is one refused, and are the tokens those of transformers?"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import ExportError, VerificationError
from pegasus_export.models.loading import load_pegasus
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.bundle_kinds import find_kind
from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle
from pegasus_export.verify.reference import make_reference
from pegasus_export.verify.weights import check_weights
from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import Bundle, Target
from sharp.checkpoints import Drawn, draw_checkpoint
from sharp.damages import GRAPH_DAMAGES, WEIGHT_DAMAGES

__all__ = ["Case", "export", "missed_damages", "run_case"]

_TARGETS = (("ort", "fp32"),) * 7 + (("onnx", "fp32"), ("trt-rtx", "fp32"))
_LOWER = (("ort", "int8"), ("ort", "int4"), ("ort", "fp16"))
_TIE = 20  # times the error of float32 itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What came of one checkpoint."""

    seed: int
    words: str
    refused: str | None
    """What the exporter said."""
    error: float
    """Of the graph that is farthest from what is let through."""
    fp32_error: float
    tolerance: float
    different: int
    """Summaries whose tokens are not transformers', ties aside."""
    ties: int


def run_case(folder: Path, seed: int, *, lower: bool = False) -> Case:
    """Draws, exports, and asks both for the summaries of a few documents; leaves no files.

    lower: in a lower precision, whose tokens are its own.
    """
    rng = np.random.default_rng(seed)
    drawn = draw_checkpoint(folder / "checkpoint", rng)
    kinds = _LOWER if lower else _TARGETS
    target, precision = kinds[int(rng.integers(len(kinds)))]
    refused, result, different, ties = None, None, 0, 0
    try:
        result = export(drawn.folder, folder / "bundle", target, precision)
    except ExportError as err:
        refused = str(err)
    if result is not None and target != "onnx" and precision == "fp32":
        different, ties = _compare_tokens(drawn, result, rng)
    shutil.rmtree(folder)
    measured = [] if result is None else result.measured
    worst = max(measured, key=lambda each: each.error / each.tolerance, default=None)
    return Case(
        seed=seed,
        words=f"{target} {precision}, {drawn.words}",
        refused=refused,
        error=worst.error if worst else np.nan,
        fp32_error=worst.fp32_error if worst else np.nan,
        tolerance=worst.tolerance if worst else np.nan,
        different=different,
        ties=ties,
    )


def export(checkpoint: Path, output: Path, target: str, precision: str = "fp32") -> ExportResult:
    """Of target trt-rtx, the graphs."""
    plans = PlanRequest()
    if target == "trt-rtx":
        plans = PlanRequest(num_beams=4, max_batch=4, max_target_tokens=16, onnx_only=True)
    request = ExportRequest(
        model=str(checkpoint), output=output, target=target, precision=precision, plans=plans
    )
    return export_bundle(request)


def _compare_tokens(
    drawn: Drawn, result: ExportResult, rng: np.random.Generator
) -> tuple[int, int]:
    """How many summaries differ, and how many of those that differ are ties."""
    model, limits = drawn.model, result.bundle.manifest.limits
    lengths = rng.integers(1, limits.max_source_tokens, 3)
    sources = [
        [*rng.integers(2, model.config.vocab_size, length).tolist(), 1] for length in lengths
    ]
    with Summarizer.load(result.bundle.folder, provider="cpu", threads=1) as summarizer:
        ours = [summarizer.generate([source])[0][0].token_ids for source in sources]
    different = ties = 0
    for source, own in zip(sources, ours, strict=True):
        theirs = _generate(model, source)
        if list(own) != theirs:
            tie = _is_tie(model, source, list(own), theirs)
            ties, different = ties + tie, different + (not tie)
    return different, ties


def _generate(model: Any, source: list[int]) -> list[int]:
    import torch

    if model.config.model_type == "bigbird_pegasus":
        model.get_encoder().set_attention_type("block_sparse")
    ids = torch.tensor([source])
    found: list[int] = model.generate(ids, attention_mask=torch.ones_like(ids))[0, 1:].tolist()
    return found


def _is_tie(model: Any, source: list[int], ours: list[int], theirs: list[int]) -> bool:
    """Whether float32 cannot tell the first tokens that differ: judged by transformers' float64."""
    import torch

    both = zip(ours, theirs, strict=False)
    step = next((i for i, (own, other) in enumerate(both) if own != other), None)
    if step is None:
        return False
    start = model.config.decoder_start_token_id
    ids = torch.tensor([source])
    logits = []
    for each in (model, copy.deepcopy(model).double()):
        if each.config.model_type == "bigbird_pegasus":
            each.get_encoder().set_attention_type("block_sparse")
        with torch.no_grad():
            output = each(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                decoder_input_ids=torch.tensor([[start, *ours[:step]]]),
            )
        logits.append(output.logits[0, -1].double())
    fp32, exact = logits
    margin = float((exact[ours[step]] - exact[theirs[step]]).abs())
    error = float((fp32 - exact).abs().max()) + 1e-7 * float(exact.abs().max())
    return margin <= _TIE * error


def missed_damages(folder: Path, seed: int) -> tuple[list[str], int]:
    """Damages of one checkpoint's bundle that its verification lets through, and of how many.

    Graphs are damaged where no large stream drowns what a layer does: there, a graph that does it
    otherwise computes the same.
    """
    rng, plain = np.random.default_rng(seed), seed % 2 == 0
    drawn = draw_checkpoint(folder / "checkpoint", rng, plain=plain)
    target: Target = "ort" if rng.random() < 0.7 else "onnx"
    bundle = export(drawn.folder, folder / "bundle", target).bundle
    reference = make_reference(load_pegasus(open_checkpoint(str(drawn.folder))))
    missed, count = [], 0
    for name, damage in (WEIGHT_DAMAGES | (GRAPH_DAMAGES if plain else {})).items():
        copied = shutil.copytree(bundle.folder, folder / "damaged")
        if damage(copied, rng):
            count += 1
            damaged = Bundle(folder=copied, manifest=bundle.manifest)
            try:
                find_kind(target, "summarization", "fp32", num_beams=1).verify(damaged, reference)
                check_weights(damaged, reference.weights)
                missed.append(f"{name}: {target}, {drawn.words}")
            except VerificationError:
                pass
        shutil.rmtree(copied)
    shutil.rmtree(folder)
    return missed, count
