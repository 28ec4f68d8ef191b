"""Summaries as columns of Arrow, of types that do not depend on what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pegasus_ray.work import Columns
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.tasks.summary import Summary

__all__ = ["add_results"]

_DETAILS = pa.struct(
    [
        ("score", pa.float64()),
        ("num_tokens", pa.int64()),
        ("truncated", pa.bool_()),
        ("unknown_share", pa.float64()),
        ("control_characters", pa.int64()),
        ("looks_like_html", pa.bool_()),
        ("num_windows", pa.int64()),
    ]
)


def add_results(table: Any, results: Sequence[Summary | Failure], columns: Columns) -> Any:
    """The table with a result for each of its rows: a summary, or why there is none."""
    found = [each if isinstance(each, Summary) else None for each in results]
    texts = [None if each is None else each.text for each in found]
    errors = [str(each.error) if isinstance(each, Failure) else None for each in results]
    table = table.append_column(columns.summary, pa.array(texts, pa.string()))
    table = table.append_column(columns.error, pa.array(errors, pa.string()))
    if columns.details is not None:
        details = pa.array([_details(each) for each in found], _DETAILS)
        table = table.append_column(columns.details, details)
    return table


def _details(summary: Summary | None) -> dict[str, object] | None:
    if summary is None:
        return None
    return {
        "score": summary.score,
        "num_tokens": len(summary.token_ids),
        "truncated": summary.truncated,
        "unknown_share": summary.unknown_share,
        "control_characters": summary.control_characters,
        "looks_like_html": summary.looks_like_html,
        "num_windows": len(summary.windows),
    }
