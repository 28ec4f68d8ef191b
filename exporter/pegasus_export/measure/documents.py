"""Documents on which a bundle of lower precision is compared with its checkpoint, or measured."""

import json
from dataclasses import dataclass
from pathlib import Path

from pegasus_export.errors import CalibrationError
from pegasus_runtime.tokenization.bounded_file import read_bounded

__all__ = ["DEFAULT_DOCUMENTS", "CalibrationDocument", "choose_documents", "read_calibration"]

_ROUNDED_BY = 16  # documents: rounding gains little by more
_CHECKPOINT_FILES = ("calibration.jsonl", "calibration.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationDocument:
    """A source text, and a summary that people wrote of it, if there is one."""

    text: str
    summary: str | None = None


_MAX_BYTES = 2**28  # some hundreds of documents are compared

DEFAULT_DOCUMENTS: tuple[CalibrationDocument, ...] = (
    CalibrationDocument(
        text="The council voted on Tuesday to repair the old bridge over the river before "
        "winter, after engineers found cracks in two of its piers. The work will cost 2.4 million "
        "pounds and take about five months. Until then lorries of more than seven tonnes have to "
        "use the motorway. Shop owners in the old town fear for their trade, and have asked for "
        "lower rents. The mayor, Anna Berg, said that safety came first, and that the ferry "
        "would run twice as often from Monday on."
    ),
    CalibrationDocument(
        text="Scientists have found a new kind of frog in the rain forest of northern Borneo. "
        "The animal is only two centimetres long, lives on the lower branches of trees and calls "
        "at dusk. A team of eleven people from three universities had followed the call for six "
        "years before they saw one. They believe that fewer than a thousand are left, because "
        "the valley is being cleared for roads. A paper about the frog appears this week in a "
        "journal of zoology."
    ),
)
"""Compared where no calibration file is given: enough to see damage, too few to measure it."""


def choose_documents(
    given: Path | None, checkpoint: Path, *, measured: bool, rounded: bool
) -> tuple[CalibrationDocument, ...]:
    """Those of the file that was given, or else of calibration.jsonl (.txt) in the checkpoint.

    measured: whether activations are measured on them, which a glance at two texts is not enough
    for. rounded: whether weights are rounded by them, for which some of the checkpoint's file do,
    or else DEFAULT_DOCUMENTS. Otherwise the checkpoint's file is not read.
    Raises: CalibrationError.
    """
    if given is not None:
        return tuple(read_calibration(given))
    if not (measured or rounded):
        return DEFAULT_DOCUMENTS
    for name in _CHECKPOINT_FILES:
        if (checkpoint / name).is_file():
            return tuple(read_calibration(checkpoint / name))[: None if measured else _ROUNDED_BY]
    if not measured:
        return DEFAULT_DOCUMENTS
    raise CalibrationError(
        f"8-bit activations are measured on documents, and {checkpoint} has no "
        f"{_CHECKPOINT_FILES[0]}: give some dozens of your own with --calibration FILE, or ask for "
        "--precision fp16"
    )


def read_calibration(path: Path) -> list[CalibrationDocument]:
    """A text file with a document per line, or a .jsonl file of {"document": …, "summary": …}.

    "summary" may be missing, in all lines or in none. Raises: CalibrationError.
    """
    try:
        lines = read_bounded(path, _MAX_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is no UTF-8"
        raise CalibrationError(
            f"calibration file {path} cannot be read ({reason}): give a text file, one document "
            "per line, or a .jsonl file"
        ) from err
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise CalibrationError(f"calibration file {path} is empty: give a document per line")
    if path.suffix != ".jsonl":
        return [CalibrationDocument(text=line) for _, line in numbered]
    documents = [_parse_line(path, number, line) for number, line in numbered]
    if len({document.summary is None for document in documents}) > 1:
        raise CalibrationError(
            f"calibration file {path} has summaries in some lines only: give all or none"
        )
    return documents


def _parse_line(path: Path, number: int, line: str) -> CalibrationDocument:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    text = value.get("document") if isinstance(value, dict) else None
    summary = value.get("summary") if isinstance(value, dict) else None
    if not isinstance(text, str) or not isinstance(summary, str | None):
        raise CalibrationError(
            f'{path}, line {number}: expected {{"document": "text", "summary": "text"}}, the '
            "summary being optional: correct the line"
        )
    return CalibrationDocument(text=text, summary=summary)
