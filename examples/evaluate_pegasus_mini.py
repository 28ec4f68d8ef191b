"""Held-out ROUGE of ``checkpoints/pegasus-mini``, as transformers generates with it in float32.

Run in the folder of this file:  python evaluate_pegasus_mini.py
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import PegasusForConditionalGeneration

from pegasus_mini_vocabulary import PAD_ID, Vocabulary
from wire_reports import HELD_OUT_SEEDS, Report, generate_report

HERE = Path(__file__).resolve().parent
CHECKPOINT = HERE / "checkpoints" / "pegasus-mini"
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A held-out report with the summary that the model wrote."""

    report: Report
    written: str
    rouge_f1: dict[str, float]

    @property
    def facts_carried(self) -> int:
        """How many facts of the reference the written summary contains."""
        return sum(value in self.written for _, value in self.report.facts)


def write_summaries(checkpoint: Path, documents: list[str], batch_size: int) -> list[str]:
    """Summaries with the generation settings of the checkpoint, in the order of the documents."""
    vocabulary = Vocabulary(checkpoint / "spiece.model")
    model = PegasusForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    model.train(False)
    sources = [vocabulary.encode(document) for document in documents]
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    summaries = [""] * len(sources)
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        width = max(len(sources[i]) for i in rows)
        padded = [sources[i] + [PAD_ID] * (width - len(sources[i])) for i in rows]
        input_ids = torch.tensor(padded)  # [B, S]
        with torch.no_grad():
            output = model.generate(  # type: ignore[misc]
                input_ids, attention_mask=(input_ids != PAD_ID).long()
            )
        assert isinstance(output, torch.Tensor)
        for i, ids in zip(rows, output.tolist(), strict=True):
            summaries[i] = vocabulary.decode(ids)
    return summaries


def score_summary(report: Report, written: str, scorer: RougeScorer) -> Scored:
    """ROUGE F1 without stemming."""
    scores = scorer.score(report.summary, written)
    return Scored(
        report=report,
        written=written,
        rouge_f1={name: float(scores[name].fmeasure) for name in ROUGE_TYPES},
    )


def average_scores(scored: list[Scored], settings: dict[str, object]) -> dict[str, object]:
    """The figures of the evaluation, over all reports and ROUGE-2 by kind."""
    n_facts = sum(len(one.report.facts) for one in scored)
    n_reports = Counter(one.report.kind for one in scored)
    rouge2_by_kind = {
        kind: sum(one.rouge_f1["rouge2"] for one in scored if one.report.kind == kind) / n
        for kind, n in sorted(n_reports.items())
    }
    return {
        "documents": len(scored),
        "seeds": [HELD_OUT_SEEDS[0], HELD_OUT_SEEDS[len(scored) - 1]],
        "generation": settings,
        **{
            name: round(sum(one.rouge_f1[name] for one in scored) / len(scored), 4)
            for name in ROUGE_TYPES
        },
        "exact_match": round(
            sum(one.written == one.report.summary for one in scored) / len(scored), 4
        ),
        "facts_carried": round(sum(one.facts_carried for one in scored) / n_facts, 4),
        "rouge2_by_kind": {kind: round(value, 4) for kind, value in rouge2_by_kind.items()},
    }


def evaluate(checkpoint: Path, n_documents: int, batch_size: int) -> list[Scored]:
    """Writes and scores the summaries of the first ``n_documents`` held-out reports."""
    reports = [generate_report(seed) for seed in HELD_OUT_SEEDS[:n_documents]]
    summaries = write_summaries(checkpoint, [report.document for report in reports], batch_size)
    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
    return [
        score_summary(report, written, scorer)
        for report, written in zip(reports, summaries, strict=True)
    ]


def main() -> None:
    """Prints the figures and some of the misses; writes ``heldout_rouge.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--show", type=int, default=5, help="print this many inexact summaries")
    arguments = parser.parse_args()
    scored = evaluate(arguments.checkpoint, arguments.documents, arguments.batch_size)
    settings = json.loads((arguments.checkpoint / "generation_config.json").read_text())
    figures = json.dumps(average_scores(scored, settings), indent=2)
    (arguments.checkpoint / "heldout_rouge.json").write_text(figures + "\n")
    print(figures)
    misses = [one for one in scored if one.written != one.report.summary]
    for one in misses[: arguments.show]:
        print(f"\nexpected: {one.report.summary}\nwritten:  {one.written}")


if __name__ == "__main__":
    main()
