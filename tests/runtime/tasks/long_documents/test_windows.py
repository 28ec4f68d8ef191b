"""Windows fit, cover the text, share no more than the overlap, and are of one size."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime import InputError
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.tasks.long_documents.windows import plan_windows
from pegasus_runtime.tokenization.tokenizer import Tokenizer

Span = tuple[int, int]

WORDS = st.text(alphabet="abz\u0301", min_size=1, max_size=14)
SENTENCES = st.lists(WORDS, min_size=1, max_size=9).map(lambda words: "X" + " ".join(words) + ".")
TEXTS = st.lists(SENTENCES, min_size=1, max_size=30).map(" ".join)


def token_ends(text: str) -> list[int]:
    """A toy tokenizer: of each word four characters at a time, marks alone."""
    return [at.end() for at in re.finditer(r"\w{1,4}|[^\w\s]", text)]


def count(text: str) -> int:
    return len(token_ends(text)) + 1


def plan(text: str, limit: int, overlap: int = 0) -> list[Span]:
    return plan_windows(text, token_ends(text), limit=limit, overlap=overlap, count=count)


@given(TEXTS, st.integers(8, 40), st.integers(0, 20))
def test_windows_fit_cover_the_text_and_share_no_more_than_the_overlap(
    text: str, limit: int, overlap: int
) -> None:
    windows = plan(text, limit, overlap)
    assert all(count(text[start:end]) <= limit for start, end in windows)
    covered = {at for start, end in windows for at in range(start, end)}
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)
    for (start, end), (following, last) in pairwise(windows):
        assert start < following
        assert end < last
        assert len(token_ends(text[following:end])) <= overlap


@given(TEXTS, st.integers(8, 40))
def test_there_are_as_few_windows_as_fit(text: str, limit: int) -> None:
    """Whatever a window leaves to the next one would not have fitted into it."""
    windows = plan(text, limit)
    total = len(token_ends(text))
    longest = max(count(each) for each in re.findall(r"\S[^.]*\.?", text))
    if longest <= limit:
        assert len(windows) <= 1 + total // max(1, limit - longest)
    if total < limit:
        assert len(windows) == 1


def test_no_last_window_is_tiny() -> None:
    text = " ".join(["Aa bb cc."] * 41)  # of four tokens each: 164, where a window holds 80
    sizes = [count(text[start:end]) - 1 for start, end in plan(text, 81)]
    assert sizes == [56, 56, 52]


def test_a_window_begins_with_the_last_sentences_of_the_one_before() -> None:
    text = " ".join(f"Aa bb c{at}." for at in range(20))
    first, second = plan(text, 45, overlap=9)
    assert text[second[0] : first[1]] == "Aa bb c9. Aa bb c10."
    assert plan(text, 45, overlap=3)[1][0] == plan(text, 45)[1][0]  # no sentence is so short


def test_sentences_stay_whole_where_they_fit_and_words_where_these_do() -> None:
    text = "One two three. " + "word " * 30 + "end. Four five six."
    pieces = [text[start:end] for start, end in plan(text, 9)]
    assert pieces[0].startswith("One two three. word")
    assert all(piece.split()[0] in {"One", "word", "end.", "Four"} for piece in pieces)
    longer = [text[start:end] for start, end in plan(text, 40)]
    assert [piece.split()[0] for piece in longer] == ["One", "Four"]


def test_a_text_without_sentences_or_spaces_is_cut_between_tokens_not_within_characters() -> None:
    text = "ab\u0301cd" * 20
    windows = plan(text, 6)
    assert "".join(text[start:end] for start, end in windows) == text
    assert not any(text[start] == "\u0301" for start, _ in windows)


def test_marks_that_end_lines_are_tokens_of_the_window_that_they_stand_in() -> None:
    """A model of lines reads each as a token, and no unit has those between two units."""
    ends = re.compile(r"<n>|\w{1,4}|[^\w\s<]")

    def count_lines(text: str) -> int:
        return len(ends.findall(text)) + 1

    def plan_lines(text: str, limit: int) -> list[str]:
        places = [at.end() for at in ends.finditer(text)]
        spans = plan_windows(text, places, limit=limit, overlap=0, count=count_lines)
        return [text[start:end] for start, end in spans]

    assert plan_lines("One." + "<n>" * 90 + "Two.", 20) == ["One.", "Two."]
    lines = plan_lines("<n>".join(["One", "Two"] * 100), 21)
    assert [count_lines(each) for each in lines] == [20] * 20
    marks = plan_lines("<n>" * 95, 11)
    assert [count_lines(each) for each in marks] == [11] * 9 + [6]


def test_a_character_of_more_tokens_than_fit_is_cut_anyway() -> None:
    text = "a" + "\u200d\u0301" * 50
    windows = plan_windows(text, range(1, 102), limit=11, overlap=0, count=lambda part: len(part))
    assert "".join(text[start:end] for start, end in windows) == text
    assert len(windows) == 11


def test_tokens_that_are_others_at_the_edge_of_a_window_are_counted() -> None:
    """A text alone begins with a token more, as SentencePiece's may."""
    text = " ".join(["Aa bb cc."] * 30)
    ends = token_ends(text)
    windows = plan_windows(text, ends, limit=20, overlap=0, count=lambda part: count(part) + 2)
    assert all(count(text[start:end]) + 2 <= 20 for start, end in windows)
    assert windows[-1][1] == len(text)


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_that_no_window_fits_is_refused(limit: int) -> None:
    text = "Aaaa bbbb cccc."
    with pytest.raises(InputError, match=f"the bundle takes {limit} tokens, too few for a window"):
        plan_windows(text, token_ends(text), limit=limit, overlap=0, count=lambda part: 5)


@pytest.fixture(scope="module")
def tokenizer(bundle: Bundle) -> Tokenizer:
    spec = bundle.manifest.tokenizer
    assert spec is not None
    return Tokenizer.load(bundle.path(spec.file), spec)


@pytest.mark.parametrize(
    "make",
    [
        lambda: "The old miller sold a red boat in March. " * 60,
        lambda: "the harbour " * 300,
        lambda: "thestonebridge" * 100,
        lambda: "ﬁne ½ café 他来了。 \ud800 e\u0301 " * 60,
    ],
)
def test_windows_of_real_tokens_fit_exactly(tokenizer: Tokenizer, make: Callable[[], str]) -> None:
    text = make()
    ends = [end for _, end in tokenizer.encode_pieces(text).offsets]

    def real_count(part: str) -> int:
        return len(tokenizer.encode(part).token_ids)

    windows = plan_windows(text, ends, limit=64, overlap=6, count=real_count)
    assert all(real_count(text[start:end]) <= 64 for start, end in windows)
    covered = {at for start, end in windows for at in range(start, end)}
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)
    assert len(windows) <= 1.6 * real_count(text) / 64 + 1
