"""Writes ``calibration.jsonl`` into the demo checkpoints: held-out reports with their summaries.

The exporter measures activations on them where 8 bits need it. Run in the folder of this file:
python write_calibration.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report, generate_report

__all__ = ["CALIBRATION_SEEDS", "LONG_CALIBRATION_SEEDS", "write_calibration"]

# Beyond the reports that the evaluations and the articles use.
CALIBRATION_SEEDS = HELD_OUT_SEEDS[5000:5032]
LONG_CALIBRATION_SEEDS = HELD_OUT_SEEDS[6000:6012]


def write_calibration(reports: Sequence[Report], folder: Path) -> Path:
    """One report per line, as ``pegasus-export --calibration`` reads them."""
    path = folder / "calibration.jsonl"
    lines = [{"document": report.document, "summary": report.summary} for report in reports]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


if __name__ == "__main__":
    checkpoints = Path(__file__).resolve().parent / "checkpoints"
    for written in (
        write_calibration(
            [generate_report(seed) for seed in CALIBRATION_SEEDS], checkpoints / "pegasus-mini"
        ),
        write_calibration(
            [generate_long_report(seed) for seed in LONG_CALIBRATION_SEEDS],
            checkpoints / "bigbird-mini",
        ),
    ):
        print(written.relative_to(checkpoints))
