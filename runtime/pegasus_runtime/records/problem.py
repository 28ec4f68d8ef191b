"""Why a record has no summary."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Stands in the place of a text that cannot be had of a record, or of a summary of its text."""

    code: str
    """not_utf8, not_json, not_an_object, duplicate_key, no_text, not_a_string, field_exists or
    line_too_long; input where the text cannot be summarised, engine where the engine failed."""
    message: str
    """For people; nothing of the document."""
