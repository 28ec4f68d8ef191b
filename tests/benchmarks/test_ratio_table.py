"""Tables of measurements, and verdicts on targets."""

from __future__ import annotations

from ratio_table import (
    Target,
    format_columns,
    format_number,
    format_verdicts,
    judge,
    ratio_to_peer,
)

TARGETS = (
    Target(name="speed", limit=1.6),
    Target(name="disk", limit=620, unit="MB", at_most=True),
    Target(name="load", limit=1.0, unit="s", at_most=True),
)


def test_a_ratio_above_1_means_that_ours_is_better() -> None:
    assert ratio_to_peer(3.0, 1.5) == 2.0
    assert ratio_to_peer(None, 1.5) is None
    assert ratio_to_peer(3.0, None) is None


def test_a_target_is_met_at_its_limit() -> None:
    verdicts = judge(TARGETS, {"speed": 1.6, "disk": 620.0, "load": 1.0})
    assert [verdict.met for verdict in verdicts] == [True, True, True]


def test_a_target_is_missed_beyond_its_limit() -> None:
    verdicts = judge(TARGETS, {"speed": 1.59, "disk": 621.0, "load": 1.1})
    assert [verdict.met for verdict in verdicts] == [False, False, False]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    verdicts = judge(TARGETS, {"disk": None, "load": 0.5})
    assert [verdict.met for verdict in verdicts] == [None, None, True]


def test_every_verdict_has_its_line() -> None:
    lines = format_verdicts(judge(TARGETS, {"speed": 1.2, "disk": 600.0})).splitlines()
    assert lines == [
        "target     limit        got",
        "speed    ≥ 1.6 x     1.20 x        MISSED",
        "disk    ≤ 620 MB  600.00 MB           met",
        "load       ≤ 1 s             not measured",
    ]


def test_the_first_column_is_to_the_left_and_the_others_to_the_right() -> None:
    table = format_columns([("", "time"), ("ours", "1 s"), ("theirs", "10 s")])
    assert table.splitlines() == ["        time", "ours     1 s", "theirs  10 s"]


def test_a_missing_number_is_empty() -> None:
    assert format_number(None, "s") == ""
    assert format_number(1.25, "s", digits=1) == "1.2 s"
