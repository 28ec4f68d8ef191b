"""Held-out ROUGE of ``checkpoints/bigbird-mini`` by where in a document the facts lie.

Summaries are those of transformers' generate in float32, one document at a time, with block-sparse
attention set anew for each.

Run in the folder of this file:  python evaluate_bigbird_mini.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import BigBirdPegasusForConditionalGeneration

from evaluate_pegasus_mini import ROUGE_TYPES, Scored, score_summary
from pegasus_mini_vocabulary import Vocabulary
from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report

HERE = Path(__file__).resolve().parent
CHECKPOINT = HERE / "checkpoints" / "bigbird-mini"
FIFTHS = 5


def write_summary(
    model: BigBirdPegasusForConditionalGeneration, vocabulary: Vocabulary, report: Report
) -> tuple[str, int]:
    """The summary, with the generation settings of the checkpoint, and the document's tokens."""
    input_ids = torch.tensor([vocabulary.encode(report.document)])  # [1, S]
    model.get_encoder().set_attention_type("block_sparse")  # it stays full after a short document
    with torch.no_grad():
        output = model.generate(  # type: ignore[misc]
            input_ids, attention_mask=torch.ones_like(input_ids)
        )
    assert isinstance(output, torch.Tensor)
    return vocabulary.decode(output[0].tolist()), input_ids.shape[1]


def evaluate(
    checkpoint: Path, vocabulary: Vocabulary, reports: dict[str, list[Report]]
) -> dict[str, list[Scored]]:
    """Writes and scores the summaries of some groups of reports."""
    model = BigBirdPegasusForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    model.train(False)
    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
    scored: dict[str, list[Scored]] = {}
    for group, members in reports.items():
        for report in members:
            written, _ = write_summary(model, vocabulary, report)
            scored.setdefault(group, []).append(score_summary(report, written, scorer))
        print(f"{group}: {json.dumps(figures(scored[group]))}", file=sys.stderr, flush=True)
    return scored


def figures(scored: list[Scored]) -> dict[str, float]:
    """Means over some reports."""
    count = len(scored)
    facts = sum(len(one.report.facts) for one in scored)
    means = {name: sum(one.rouge_f1[name] for one in scored) / count for name in ROUGE_TYPES}
    means["exact_match"] = sum(one.written == one.report.summary for one in scored) / count
    means["facts_carried"] = sum(one.facts_carried for one in scored) / facts
    return {name: round(value, 4) for name, value in means.items()} | {"documents": count}


def held_out_reports(count: int, per_fifth: int) -> dict[str, list[Report]]:
    """Reports whose facts are anywhere, and some whose facts are all in one fifth."""
    seeds = iter(HELD_OUT_SEEDS)
    groups = {"facts anywhere": [generate_long_report(next(seeds)) for _ in range(count)]}
    for fifth in range(FIFTHS):
        part = (fifth / FIFTHS, (fifth + 1) / FIFTHS)
        name = f"facts from {part[0]:.0%} to {part[1]:.0%} of the document"
        groups[name] = [generate_long_report(next(seeds), within=part) for _ in range(per_fifth)]
    return groups


def main() -> None:
    """Prints the figures; writes ``heldout_rouge.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--documents", type=int, default=120, help="with facts anywhere")
    parser.add_argument("--per-fifth", type=int, default=36, help="with facts in one fifth")
    arguments = parser.parse_args()
    vocabulary = Vocabulary(HERE / "checkpoints" / "pegasus-mini" / "spiece.model")  # same ids
    reports = held_out_reports(arguments.documents, arguments.per_fifth)
    lengths = [
        len(vocabulary.encode(report.document)) for group in reports.values() for report in group
    ]
    scored = evaluate(arguments.checkpoint, vocabulary, reports)
    content = {
        "generation": json.loads((arguments.checkpoint / "generation_config.json").read_text()),
        "tokens": {"shortest": min(lengths), "longest": max(lengths)},
        "groups": {group: figures(members) for group, members in scored.items()},
    }
    text = json.dumps(content, indent=2)
    (arguments.checkpoint / "heldout_rouge.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
