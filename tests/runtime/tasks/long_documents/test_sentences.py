"""Texts are cut where a sentence ends, in any script, and nothing of them is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.tasks.long_documents.sentences import ends_wide, split_sentences, split_words


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["It rose 3.5 percent.", "Then it fell to 1.25!", "Why?", "Nobody knows…", "It ended."],
        [
            "Dr. Ito and Mrs. J. Smith met St. Clair.",
            "They left at 5 p.m. on Jan. 3.",
            "It rained.",
        ],
        ["The U.S. Senate voted.", "See No. 5 and Fig. 2.", "He said no.", "Then he left."],
        ['"Stop!" he cried.', "“Why?” she asked.", "(It was late.)", "Then: silence."],
        ["He came at 10.", "A crowd of 60,200. came."],
        ["Er kam am Montag, d.h. gestern.", "Das war z.B. Zufall."],
        ["Il a dit: « Non. »", "Puis il est parti."],
    ],
)
def test_sentences_end_with_their_marks_but_not_within_names_and_numbers(
    expected: list[str],
) -> None:
    assert sentences(" ".join(expected)) == expected


def test_scripts_without_spaces_end_sentences_too() -> None:
    text = "他来了。“走吧！”她说。为什么？不知道。"  # noqa: RUF001
    assert sentences(text) == [
        "他来了。",
        "“走吧！”",  # noqa: RUF001
        "她说。",
        "为什么？",  # noqa: RUF001
        "不知道。",
    ]
    assert sentences("वह आया। वह गया।") == ["वह आया।", "वह गया।"]
    assert ends_wide("他来了。」")
    assert not ends_wide("He came.")
    assert not ends_wide("")


def test_paragraphs_and_the_models_own_line_breaks_end_sentences() -> None:
    assert sentences("A headline\n\nThe text\nof it goes on.<n>More <n> <n>of it") == [
        "A headline",
        "The text\nof it goes on.",
        "More",
        "of it",
    ]


def test_a_text_without_capitals_has_sentences_all_the_same() -> None:
    assert sentences("he came. he left.") == ["he came.", "he left."]
    assert sentences("He came. he left.") == ["He came. he left."]


@given(st.text(alphabet="aB3 .!?…。\n\"')\u0301<n>", max_size=60))
def test_sentences_are_in_order_and_hold_all_but_space_and_line_breaks(text: str) -> None:
    spans = split_sentences(text)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    outside = text
    for start, end in reversed(spans):
        outside = outside[:start] + outside[end:]
    assert not outside.replace("<n>", "").strip()


def test_words_stand_between_spaces() -> None:
    text = "one two\tthree"
    assert [text[start:end] for start, end in split_words(text, 4, len(text))] == ["two", "three"]
