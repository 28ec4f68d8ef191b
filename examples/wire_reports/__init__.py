"""Generated English wire reports with summaries: data for a demo checkpoint and for tests.

>>> from wire_reports import generate_report
>>> generate_report(10_000_000).kind
'factory_opening'
"""

from __future__ import annotations

from wire_reports.event_kind import EventKind
from wire_reports.long_report import (
    LONGEST_SENTENCES,
    SHORTEST_SENTENCES,
    generate_long_report,
)
from wire_reports.report import (
    EVENT_KINDS,
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    Report,
    generate_report,
)

__all__ = [
    "EVENT_KINDS",
    "HELD_OUT_SEEDS",
    "LONGEST_SENTENCES",
    "SHORTEST_SENTENCES",
    "TRAIN_SEEDS",
    "EventKind",
    "Report",
    "generate_long_report",
    "generate_report",
]
