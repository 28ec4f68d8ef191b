"""Which fields are added, and names that do not go together."""

from __future__ import annotations

import math

import pytest

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.fields import MORE, Fields
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.summary import Summary

SUMMARY = Summary(
    text="A boat.",
    token_ids=(5, 6, 1),
    score=-0.25,
    token_scores=(-0.5, -math.inf),
    truncated=True,
    unknown_share=0.123456,
    control_characters=3,
    looks_like_html=True,
    alternatives=(Summary(text="A ship.", token_ids=(7,), score=-1.0, truncated=True),),
)


def test_every_field_has_its_value() -> None:
    fields = Fields(more=tuple(MORE))
    assert dict(zip(fields.added, fields.values(SUMMARY), strict=True)) == {
        "summary": "A boat.",
        "score": -0.25,
        "tokens": [5, 6, 1],
        "token_scores": [-0.5, None],
        "truncated": True,
        "unknown_share": 0.1235,
        "control_characters": 3,
        "looks_like_html": True,
        "alternatives": ["A ship."],
    }
    assert len(fields.kinds) == len(fields.added)


def test_what_json_has_no_number_for_is_null() -> None:
    endless = Summary(text="", token_ids=(), score=-math.inf, truncated=False)
    assert Fields(more=("score", "token_scores")).values(endless) == ("", None, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"more": ("scor",)}, "'scor' cannot be added, expected some of score, tokens, .*did you"),
        ({"more": ("seconds",)}, "'seconds' cannot be added, expected some of score"),
        ({"summary": "text"}, "'text' would be the name of two fields, of text, text: give the"),
        ({"summary": "score", "more": ("score",)}, "'score' would be the name of two fields"),
        ({"more": ("score", "score")}, "'score' would be the name of two fields, .*each name once"),
    ],
)
def test_names_that_clash_are_refused(names: dict[str, object], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        Fields(**names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        ((), {"token_scores": True}, "--token-scores has no effect without --add token_scores"),
        (("token_scores",), {}, "--add token_scores has nothing to add without --token-scores"),
        (
            (),
            {"num_beams": 2, "num_return_sequences": 2},
            "--num-return-sequences has no effect wi",
        ),
        (("alternatives",), {}, "--add alternatives has nothing to add without --num-return-seque"),
    ],
)
def test_what_is_computed_is_written(
    more: tuple[str, ...], options: dict[str, int], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        Fields(more=more).check(GenerationOptions(**options))


def test_options_and_fields_that_belong_together_pass() -> None:
    options = GenerationOptions(token_scores=True, num_beams=2, num_return_sequences=2)
    Fields(more=("token_scores", "alternatives")).check(options)
    Fields().check(GenerationOptions())
