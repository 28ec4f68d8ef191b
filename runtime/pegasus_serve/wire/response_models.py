"""What is answered, as types: for the OpenAPI document alone."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AnswerResponse",
    "ClassifyResponse",
    "ErrorResponse",
    "ModelsResponse",
    "SummarizeResponse",
]


class ErrorDetail(BaseModel):
    """What is wrong."""

    code: str = Field(description="For programs: input, options, overloaded, timeout, ...")
    message: str = Field(description="For people: what is wrong, what was expected, what to do.")


class ErrorResponse(BaseModel):
    """An error; of one of several documents, it stands in the place of the result."""

    error: ErrorDetail


class SummaryResult(BaseModel):
    """One document's summary."""

    model_config = ConfigDict(extra="allow")

    text: str
    score: float | None = Field(description="null where it is not finite.")
    token_ids: list[int]
    token_scores: list[float | None] = Field([], description="Where they were asked for.")
    truncated: bool
    unknown_share: float = Field(description="Of characters that the tokenizer does not know.")
    control_characters: int = Field(description="Characters of the text that nobody sees.")
    looks_like_html: bool = Field(description="Whether the text has tags or entities of HTML.")
    alternatives: list[dict[str, Any]]
    seconds: float


class SummarizeResponse(BaseModel):
    """Summaries, in the order of the texts."""

    model: str
    results: list[SummaryResult | ErrorResponse]
    seconds: float


class Label(BaseModel):
    """One document's label."""

    model_config = ConfigDict(extra="allow")

    label: str
    score: float
    scores: dict[str, float]
    truncated: bool
    unknown_share: float
    control_characters: int
    looks_like_html: bool


class ClassifyResponse(BaseModel):
    """Labels, in the order of the texts."""

    model: str
    results: list[Label | ErrorResponse]
    seconds: float


class Passage(BaseModel):
    """A passage that answers the question."""

    model_config = ConfigDict(extra="allow")

    text: str
    start: int
    end: int
    score: float
    truncated: bool
    unknown_share: float
    control_characters: int
    looks_like_html: bool


class AnswerResponse(BaseModel):
    """Passages, the best first."""

    model: str
    results: list[Passage]
    seconds: float


class ModelsResponse(BaseModel):
    """What is served, and the server's limits."""

    models: list[dict[str, Any]]
    limits: dict[str, float]
