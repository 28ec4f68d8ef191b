"""What windows say twice is said once; what differs in anything that counts is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.tasks.long_documents.join import drop_repeats, join_texts, words_of


def test_sentences_that_repeat_one_of_an_earlier_window_are_dropped() -> None:
    assert drop_repeats(
        [
            "It rained in Ely on Monday. Two fled.",
            "it rained, in Ely, on Monday! Six died.",
            "Two fled.",
        ]
    ) == ["It rained in Ely on Monday. Two fled.", "Six died.", ""]


def test_a_part_of_an_earlier_sentence_in_its_order_is_dropped() -> None:
    earlier = "The union, led by Rosa Ulrich, wants a rise of 53 percent but was offered 5 percent."
    assert drop_repeats(
        [earlier, "The union, led by Rosa Ulrich, wants a rise of 53 percent."]
    ) == [
        earlier,
        "",
    ]


@pytest.mark.parametrize(
    "later",
    [
        "Lorne United beat Tiverton City 3-1 in the cup before a crowd of 60,300.",
        "Lorne United beat Tiverton City 31 in the cup before a crowd of 60,200.",
        "Tiverton City beat Lorne United 3-1 in the cup before a crowd of 60,200.",
        "Lorne United beat City in a crowd.",  # in order, but few of its trigrams are there
        "Lorne United beat Tiverton City before a crowd of 60,200.",  # 6 of 8 trigrams
        "Lorne United beat.",  # of fewer than four words only the same are repetitions
        "Lorne United beat Tiverton City 3-1 in the cup before a crowd of 60,200 fans.",
    ],
)
def test_a_sentence_that_says_anything_else_is_kept(later: str) -> None:
    earlier = "Lorne United beat Tiverton City 3-1 in the cup before a crowd of 60,200."
    assert drop_repeats([earlier, later]) == [earlier, later]


def test_what_a_summary_says_twice_itself_is_left() -> None:
    assert drop_repeats(["It rained. It rained.", "It rained."]) == ["It rained. It rained.", ""]


def test_lines_stay_lines_and_none_is_left_empty() -> None:
    assert drop_repeats(
        ["One came.<n>Two left.", "Six ran.<n>Two left.", "One came.<n>Ten sat."]
    ) == [
        "One came.<n>Two left.",
        "Six ran.",
        "Ten sat.",
    ]
    assert join_texts(["One came.\nTwo left.", "Six ran."]) == "One came.\nTwo left.\nSix ran."


def test_scripts_without_spaces_are_compared_by_character_and_joined_without_a_space() -> None:
    kept = drop_repeats(["他星期一来到北京。", "他，星期一来到北京。她走了。"])  # noqa: RUF001
    assert kept == ["他星期一来到北京。", "她走了。"]
    assert join_texts(kept) == "他星期一来到北京。她走了。"


@pytest.mark.parametrize(
    ("one", "other"),
    [("$5", "€5"), ("5%", "5"), ("3.5", "35"), ("-5", "5"), ("3-1", "3 1"), ("की", "का")],
)
def test_signs_of_numbers_and_vowels_count(one: str, other: str) -> None:
    assert words_of(one) != words_of(other)


@pytest.mark.parametrize(("one", "other"), [("“It RAINED.”", "it rained"), ("Ａ b", "a, b!")])  # noqa: RUF001
def test_case_space_punctuation_and_width_do_not(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)


@pytest.mark.parametrize("texts", [["…"], ["👍", "!!"]])
def test_texts_without_words_are_kept(texts: list[str]) -> None:
    assert drop_repeats(texts) == texts


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=9).map(" ".join), max_size=6))
def test_the_first_text_is_whole_and_nothing_is_made_up(texts: list[str]) -> None:
    kept = drop_repeats(texts)
    assert [left in (text.strip(), "") for left, text in zip(kept, texts, strict=True)] == [
        True
    ] * len(texts)
    assert kept[:1] == [text.strip() for text in texts[:1]]
    assert drop_repeats(kept) == kept
