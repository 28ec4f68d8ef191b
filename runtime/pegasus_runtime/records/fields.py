"""What is added to a record beside its own fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.spelling import did_you_mean
from pegasus_runtime.tasks.summary import Summary

__all__ = ["MORE", "Field", "Fields"]

_UNKNOWN_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One that may be added: its value, and its type in Parquet, in pyarrow's words."""

    value: Callable[[Summary], object]
    kind: str


def _finite(value: float) -> float | None:
    """None for what JSON has no number for."""
    return value if math.isfinite(value) else None


def _token_scores(summary: Summary) -> object:
    scores = summary.token_scores
    return None if scores is None else [_finite(score) for score in scores]


_TEXT = Field(value=lambda summary: summary.text, kind="string")
MORE: Mapping[str, Field] = {
    "score": Field(value=lambda summary: _finite(summary.score), kind="float64"),
    "tokens": Field(value=lambda summary: list(summary.token_ids), kind="list<int32>"),
    "token_scores": Field(value=_token_scores, kind="list<float64>"),
    "truncated": Field(value=lambda summary: summary.truncated, kind="bool"),
    "unknown_share": Field(
        value=lambda summary: round(summary.unknown_share, _UNKNOWN_DIGITS), kind="float64"
    ),
    "control_characters": Field(value=lambda summary: summary.control_characters, kind="int64"),
    "looks_like_html": Field(value=lambda summary: summary.looks_like_html, kind="bool"),
    "alternatives": Field(
        value=lambda summary: [each.text for each in summary.alternatives], kind="list<string>"
    ),
}
"""Under the names that `--json` has for them; of alternatives the texts. None of them depends on
how long anything took, so that two runs give the same bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names of a record's fields: that of the text, and those that are added to it.

    Raises: OptionsError for names that there are not, or that are there twice.
    """

    text: str = "text"
    summary: str = "summary"
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.more:
            if name not in MORE:
                raise OptionsError(
                    f"{name!r} cannot be added, expected some of {', '.join(MORE)}"
                    f"{did_you_mean(name, MORE) or ': correct it or leave it out'}"
                )
        names = (self.text, *self.added)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise OptionsError(
                f"{twice!r} would be the name of two fields, of {', '.join(names)}: give the "
                "summary another one with --output-field, and each name once"
            )

    @property
    def added(self) -> tuple[str, ...]:
        """Those that a record may not have."""
        return (self.summary, *self.more)

    def check(self, options: GenerationOptions) -> None:
        """Raises: OptionsError for what is computed and not written, or the reverse."""
        pairs = (
            ("token_scores", "--token-scores", bool(options.token_scores)),
            ("alternatives", "--num-return-sequences", (options.num_return_sequences or 1) > 1),
        )
        for name, option, is_given in pairs:
            if is_given and name not in self.more:
                raise OptionsError(f"{option} has no effect without --add {name}: add it")
            if name in self.more and not is_given:
                raise OptionsError(f"--add {name} has nothing to add without {option}: give that")

    def values(self, summary: Summary) -> tuple[object, ...]:
        """In the order of `added`."""
        return (summary.text, *(MORE[name].value(summary) for name in self.more))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types in Parquet, in the order of `added`."""
        return (_TEXT.kind, *(MORE[name].kind for name in self.more))
