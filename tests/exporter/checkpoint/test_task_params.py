"""task_specific_params: listed, and applied over the generation settings."""

from typing import Any

import pytest

from pegasus_export.checkpoint.task_params import (
    apply_task_params,
    list_task_params,
    pipeline_settings,
)
from pegasus_export.errors import UnsupportedError

FIELDS: dict[str, Any] = {  # of google/pegasus-large, cut
    "max_position_embeddings": 1024,
    "task_specific_params": {
        "summarization_xsum": {
            "length_penalty": 0.8,
            "max_length": 64,
            "max_position_embeddings": 512,
        },
        "summarization_billsum": {"max_length": 256, "max_position_embeddings": 1024},
        "translation": {"prefix": "translate English to German: ", "max_length": 300},
        "nothing": {},
    },
}


def test_tasks_are_listed_where_there_are_any() -> None:
    assert list_task_params(FIELDS) == [
        "summarization_xsum",
        "summarization_billsum",
        "translation",
    ]
    assert list_task_params({"task_specific_params": None}) == []
    assert list_task_params({}) == []


def test_a_tasks_settings_go_over_the_checkpoints_and_leave_the_network_alone() -> None:
    given = {"num_beams": 8, "length_penalty": 0.6, "max_length": 256}
    settings, notes = apply_task_params(given, FIELDS, "summarization_xsum")
    assert settings == {"num_beams": 8, "length_penalty": 0.8, "max_length": 64}
    assert notes == [
        "of task_specific_params summarization_xsum, max_position_embeddings 512 is left out: the "
        "network stays as it is"
    ]
    assert apply_task_params(given, FIELDS, "summarization_billsum") == (given, [])


def test_an_unknown_task_says_which_there_are() -> None:
    match = r"'summarization_xsun', task_specific_params of config\.json has summarization_xsum, .*"
    with pytest.raises(UnsupportedError, match=f"{match}: did you mean summarization_xsum"):
        apply_task_params({}, FIELDS, "summarization_xsun")
    with pytest.raises(
        UnsupportedError, match=r"'x', task_specific_params of config\.json has non"
    ):
        apply_task_params({}, {}, "x")


def test_a_prefix_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"of translation put prefix 'translate Engl.*leave"):
        apply_task_params({}, FIELDS, "translation")


def test_a_pipeline_gets_the_settings_of_its_own_name_and_a_prefix() -> None:
    assert pipeline_settings(FIELDS) == {}
    own = {"summarization": {"max_length": 40, "prefix": "summarize: "}}
    fields = {"task_specific_params": {**FIELDS["task_specific_params"], **own}, "prefix": "read: "}
    assert pipeline_settings(fields) == {"task_specific_params": own, "prefix": "read: "}
    assert pipeline_settings({"prefix": None, "task_specific_params": {"summarization": {}}}) == {}
