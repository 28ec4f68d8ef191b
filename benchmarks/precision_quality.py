"""What does a lower precision cost the demo checkpoint, on documents that it was not trained on?

Exports examples/checkpoints/pegasus-mini in every precision, summarises held-out reports with each
bundle, and prints ROUGE (F1, 0 to 100), exact summaries, facts carried over, and how many tokens
differ from those of the fp32 bundle. The drop in ROUGE-L is held to its target.

    python benchmarks/precision_quality.py --json quality.json     # 500 reports, two minutes
    python benchmarks/precision_quality.py --documents 20          # does the script work?
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "examples"))

from rouge_score.rouge_scorer import RougeScorer

from measure import describe_machine
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_export.verify.tokens import Tokens, edit_distance
from pegasus_runtime import Summarizer
from wire_reports import HELD_OUT_SEEDS, Report, generate_report

__all__ = ["Quality", "measure_quality"]

CHECKPOINT = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
MAX_ROUGE_L_DROP: Mapping[str, float] = {"int8": 0.3, "int4": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One precision's figures; shares and scores are 0 to 100."""

    precision: str
    bundle_bytes: int
    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815  (its name)
    rouge_l_drop: float
    """Points below fp32."""
    exact: float
    facts_carried: float
    tokens_changed: float
    """Against fp32's summaries: insertions, deletions and replacements per token."""


def measure_quality(
    precisions: Sequence[str], num_documents: int, work_dir: Path, keep_fp32: Sequence[str]
) -> list[Quality]:
    """Exports and evaluates; fp32 comes first, as the others are compared with it."""
    reports = [generate_report(seed) for seed in HELD_OUT_SEEDS[:num_documents]]
    figures: list[Quality] = []
    fp32_tokens: list[Tokens] = []
    for precision in ("fp32", *precisions):
        print(f"{precision}: export and {num_documents} summaries …", file=sys.stderr, flush=True)
        result = export_bundle(
            ExportRequest(
                model=str(CHECKPOINT),
                output=work_dir / f"pegasus-mini-{precision}",
                precision=precision,
                keep_fp32=() if precision == "fp32" else tuple(keep_fp32),
                force=True,
            )
        )
        with Summarizer.load(result.bundle.folder, newlines="original") as summarizer:
            summaries = summarizer.summarize([report.document for report in reports])
        tokens = [summary.token_ids for summary in summaries]
        fp32_tokens = fp32_tokens or tokens
        size = sum(record.bytes for record in result.bundle.manifest.files.values())
        scores = _score(reports, [summary.text for summary in summaries])
        fp32_rouge = figures[0].rougeL if figures else scores["rougeL"]
        figures.append(
            Quality(
                precision=precision,
                bundle_bytes=size,
                rouge_l_drop=fp32_rouge - scores["rougeL"],
                tokens_changed=_share_changed(fp32_tokens, tokens),
                **scores,
            )
        )
    return figures


def _score(reports: Sequence[Report], written: Sequence[str]) -> dict[str, float]:
    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
    pairs = list(zip(reports, written, strict=True))
    scores = [scorer.score(report.summary, text) for report, text in pairs]
    num_facts = sum(len(report.facts) for report in reports)
    carried = sum(value in text for report, text in pairs for _, value in report.facts)
    return {
        **{
            name: 100 * float(np.mean([score[name].fmeasure for score in scores]))
            for name in ROUGE_TYPES
        },
        "exact": 100 * float(np.mean([report.summary == text for report, text in pairs])),
        "facts_carried": 100 * carried / num_facts,
    }


def _share_changed(expected: Sequence[Tokens], got: Sequence[Tokens]) -> float:
    changed = sum(edit_distance(*pair) for pair in zip(expected, got, strict=True))
    return 100 * changed / sum(map(len, expected))


def format_table(figures: Sequence[Quality]) -> str:
    """A row for each precision."""
    header = ("", "MB", "ROUGE-1", "ROUGE-2", "ROUGE-L", "drop", "allowed", "exact", "facts")
    rows = [(*header, "tokens changed")]
    for each in figures:
        allowed = MAX_ROUGE_L_DROP.get(each.precision)
        rows.append(
            (
                each.precision,
                f"{each.bundle_bytes / 1e6:.1f}",
                f"{each.rouge1:.2f}",
                f"{each.rouge2:.2f}",
                f"{each.rougeL:.2f}",
                f"{each.rouge_l_drop:.2f}",
                "" if allowed is None else f"{allowed:.1f}",
                f"{each.exact:.1f} %",
                f"{each.facts_carried:.1f} %",
                f"{each.tokens_changed:.2f} %",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def main(argv: list[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--documents", type=int, default=500, help="held-out reports (default: %(default)s)")
    add("--precisions", default="int8,int4", help="beside fp32 (default: %(default)s)")
    add("--keep-fp32", action="append", default=[], metavar="PATTERN", help="layers left in fp32")
    add("--work-dir", type=Path, default=REPOSITORY / "build" / "benchmarks")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args(argv)
    precisions = arguments.precisions.split(",")
    figures = measure_quality(
        precisions, arguments.documents, arguments.work_dir, arguments.keep_fp32
    )
    print(format_table(figures))
    missed = [
        each.precision
        for each in figures
        if each.rouge_l_drop > MAX_ROUGE_L_DROP.get(each.precision, 0.0)
    ]
    print(f"ROUGE-L drops too far in: {', '.join(missed)}" if missed else "all targets met")
    if arguments.json:
        report = {
            "machine": describe_machine(REPOSITORY),
            "documents": arguments.documents,
            "figures": [asdict(each) for each in figures],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
