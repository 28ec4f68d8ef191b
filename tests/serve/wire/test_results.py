"""Results as JSON."""

from __future__ import annotations

import json
import math

from pegasus_runtime.tasks.summary import Summary
from pegasus_serve.wire.results import as_json, describe


def summary(score: float, *others: Summary, scores: tuple[float, ...] | None = None) -> Summary:
    return Summary(
        text="é",
        token_ids=(1,),
        score=score,
        truncated=False,
        alternatives=others,
        token_scores=scores,
    )


def test_all_fields_are_there_and_scores_of_tokens_if_they_were_asked_for() -> None:
    values = describe(summary(-1.0, summary(-2.0)))
    assert set(values) == set(Summary.__dataclass_fields__) - {"token_scores"}
    assert "token_scores" not in values["alternatives"][0]  # type: ignore[index]
    values = describe(summary(-1.0, summary(-2.0, scores=(-2.0,)), scores=(-1.0,)))
    assert values["token_scores"] == (-1.0,)
    assert values["alternatives"][0]["token_scores"] == (-2.0,)  # type: ignore[index]


def test_what_json_has_no_number_for_is_null() -> None:
    values = json.loads(as_json({"a": [describe(summary(-math.inf)), {"b": math.nan, "c": 1.5}]}))
    assert values["a"][0]["score"] is None
    assert values["a"][0]["text"] == "é"
    assert values["a"][1] == {"b": None, "c": 1.5}
    assert as_json("\ud800") == b'"?"'
