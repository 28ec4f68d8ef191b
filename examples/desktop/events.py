"""What the worker tells the window, in the order in which it happens.

A bundle: Opened or OpenFailed. A run: for each document Started, Stepped and Wrote in turn, then
Finished or Failed; at the end Ended. Each event of a run has its number: those of a run that was
cancelled may come late, and are not listened to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pegasus_runtime import Summary

__all__ = [
    "BundleFacts",
    "Ended",
    "Event",
    "Failed",
    "Finished",
    "OpenFailed",
    "Opened",
    "RunEvent",
    "Started",
    "Stepped",
    "Wrote",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What the controls need to know of a loaded bundle; lengths count tokens."""

    folder: Path
    name: str
    precision: str
    num_bytes: int
    num_beams: int
    min_length: int
    max_length: int
    max_beams: int
    max_target_tokens: int
    max_source_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A bundle is loaded, and summarises from now on."""

    facts: BundleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailed:
    """A bundle could not be loaded; the one before, if there was one, stays."""

    folder: Path
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A document is being read."""

    run: int
    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """One token further, in every beam."""

    run: int
    key: int
    num_tokens: int
    max_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """The summary's text so far, which begins with what was told before."""

    run: int
    key: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The summary of a document."""

    run: int
    key: int
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A document has no summary, and why; the next one is tried."""

    run: int
    key: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more comes of this run."""

    run: int


RunEvent: TypeAlias = "Started | Stepped | Wrote | Finished | Failed | Ended"
Event: TypeAlias = "Opened | OpenFailed | RunEvent"
