"""A document in windows, with a fake that summarises: what is asked for, and what is made of it."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from pegasus_runtime import GenerationOptions, InputError, Summarizer, Summary
from pegasus_runtime.tasks.long_documents.chunked import Chunked, Chunker
from pegasus_runtime.tokenization.tokenizer import Encoding, Newlines

SENTENCE = "The old miller sold a red boat in March. "
LONG = "".join(f"The old miller sold {at} boats in March. " for at in range(12))
Say = Callable[[int], str]


@pytest.fixture
def chunker(summarizer: Summarizer) -> Chunker:
    return summarizer.chunker()


def finish(chunker: Chunker, chunked: Chunked, say: Say) -> tuple[Summary, list[int]]:
    """The summary, and how many windows were asked for at once; say: the n-th summary."""
    asked: list[int] = []
    requests = next(chunked)
    while True:
        first = sum(asked)
        asked.append(len(requests))
        summaries = [fake(chunker, say(first + at), first + at) for at in range(len(requests))]
        try:
            requests = chunked.send(summaries)
        except StopIteration as end:
            summary: Summary = end.value
            return summary, asked


def fake(chunker: Chunker, text: str, number: int) -> Summary:
    ids = chunker.tokenizer.encode(text).token_ids if text else (chunker.tokenizer.eos_token_id,)
    return Summary(text=text, token_ids=ids, score=-float(number), truncated=False, seconds=0.5)


def test_a_document_that_fits_is_asked_for_as_it_is(chunker: Chunker) -> None:
    options = chunker.options
    for document in (SENTENCE, chunker.tokenizer.encode(SENTENCE)):
        chunked = chunker.begin(document)
        [(encoding, asked)] = next(chunked)
        assert encoding == chunker.tokenizer.encode(SENTENCE)
        assert asked is options
        made = fake(chunker, "A boat.", 0)
        with pytest.raises(StopIteration) as end:
            chunked.send([made])
        assert end.value.value is made


def test_windows_are_asked_for_together_and_their_summaries_joined(chunker: Chunker) -> None:
    texts = ["One came.", "One came. Two left.", "Two left!", "Six ran."]
    summary, asked = finish(chunker, chunker.begin(LONG), lambda at: texts[at % 4])
    count = asked[0]
    assert asked == [count]
    assert count >= 3
    assert summary.text == "One came. Two left. Six ran."[: 19 if count == 3 else None]
    assert summary.token_ids == chunker.tokenizer.encode(summary.text).token_ids
    assert [window.kept for window in summary.windows[:3]] == ["One came.", "Two left.", ""]
    assert [window.text for window in summary.windows] == (texts * 9)[:count]
    assert summary.score == pytest.approx(-(count - 1) / 2)
    assert summary.seconds == pytest.approx(0.5 * count)
    assert not summary.truncated
    for window in summary.windows:
        assert len(chunker.tokenizer.encode(LONG[window.start : window.end]).token_ids) <= 96
        assert LONG[window.start : window.end].startswith("The old miller")
    assert summary.windows[0].start == 0
    assert summary.windows[-1].end == len(LONG.rstrip())


@pytest.mark.parametrize("newlines", ["hf", "original"])
@pytest.mark.parametrize(
    "text", ["rain\n" * 300, "One came." + "<n>" * 500 + "Two left.", "<n>" * 500, "<n> " * 500]
)
def test_lines_are_cut_in_as_few_windows_as_fit(
    summarizer: Summarizer, newlines: Newlines, text: str
) -> None:
    chunker = summarizer.chunker()
    tokenizer = dataclasses.replace(chunker.tokenizer, newlines=newlines)
    chunker = dataclasses.replace(chunker, tokenizer=tokenizer)
    sizes = [len(encoding.token_ids) for encoding, _ in next(chunker.begin(text))]
    assert all(size <= 96 for size in sizes)
    room = 96 - 96 // 16 - 2  # besides the overlap, EOS and a token that an edge may bring
    assert len(sizes) <= len(tokenizer.encode(text).token_ids) / room + 1


def test_what_is_still_too_long_is_summarised_again_and_goes_back_to_the_document(
    chunker: Chunker,
) -> None:
    def say(at: int) -> str:
        return f"Her brother lost {at} letters near the river with great care."

    summary, asked = finish(chunker, chunker.begin(LONG * 3), say)
    rounds = [window.round for window in summary.windows]
    assert len(asked) > 1
    assert rounds == [number for number, count in enumerate(asked, 1) for _ in range(count)]
    last = [window for window in summary.windows if window.round == len(asked)]
    assert summary.text == " ".join(window.kept for window in last)
    assert len(summary.token_ids) <= 96
    assert last[0].start == 0
    assert last[-1].end == len(LONG * 3) - 1
    firsts = {window.start for window in summary.windows if window.round == 1}
    assert {window.start for window in last} <= firsts
    assert last[0].end < last[-1].end


def test_a_round_that_makes_nothing_shorter_is_the_last_and_left_out(chunker: Chunker) -> None:
    def say(at: int) -> str:
        return " ".join(f"Word{at}{letter} came near the river." for letter in "abcdefgh")

    summary, asked = finish(chunker, chunker.begin(LONG), say)
    assert len(asked) == 2  # the second made nothing shorter
    assert {window.round for window in summary.windows} == {1}
    assert len(summary.token_ids) > 96
    assert summary.text.startswith("Word0a came")
    assert summary.score == pytest.approx(-(asked[0] - 1) / 2)


def test_rounds_end_however_little_they_save(chunker: Chunker) -> None:
    sizes = iter(range(40, 0, -1))
    texts: dict[int, str] = {}

    def say(at: int) -> str:
        if at not in texts:
            texts[at] = " ".join(f"q{at}x{word}" for word in range(next(sizes, 1)))
        return texts[at]

    _, asked = finish(chunker, chunker.begin(LONG), say)
    assert len(asked) <= 8


def test_of_windows_that_say_nothing_there_is_an_empty_summary(chunker: Chunker) -> None:
    summary, _ = finish(chunker, chunker.begin(LONG), lambda at: "")
    assert summary.text == ""
    assert summary.token_ids == (chunker.tokenizer.eos_token_id,)


def test_an_empty_document_is_refused_before_anything_is_asked_for(chunker: Chunker) -> None:
    with pytest.raises(InputError, match="text is empty or has only whitespace"):
        next(chunker.begin(" \n"))
    long = Encoding(token_ids=(5,) * 99, truncated=False, num_tokens_before=99)
    with pytest.raises(InputError, match="encoding has 99 tokens, the bundle takes 96"):
        next(chunker.begin(long))


def test_no_window_may_repeat_an_n_gram_of_those_before(summarizer: Summarizer) -> None:
    options = GenerationOptions(no_repeat_ngram_size=2, bad_words_ids=[[150, 151]])
    chunker = summarizer.chunker(options)
    chunked = chunker.begin(LONG)
    [(_, first)] = next(chunked)
    assert first is options
    eos = chunker.tokenizer.eos_token_id

    def made(*ids: int) -> Sequence[Summary]:
        return [dataclasses.replace(fake(chunker, "A boat.", 0), token_ids=ids)]

    [(_, second)] = chunked.send(made(160, 161, 162, eos))
    assert second == dataclasses.replace(
        options, bad_words_ids=((150, 151), (160, 161), (161, 162))
    )
    [(_, third)] = chunked.send(made(161, 162, 163))
    assert third.bad_words_ids == ((150, 151), (160, 161), (161, 162), (162, 163))


def test_the_share_of_unknown_characters_is_the_document_s(chunker: Chunker) -> None:
    text = LONG + "语" * 40  # which no window but the last has
    summary, _ = finish(chunker, chunker.begin(text), lambda at: "A boat.")
    assert summary.unknown_share == chunker.tokenizer.encode(text).unknown_share > 0


def test_max_unknown_is_the_documents_and_not_a_windows(chunker: Chunker) -> None:
    unknown = "\u4e16\u754c" * 8 + ". "
    text = unknown + LONG
    share = chunker.tokenizer.encode(text).unknown_share
    strict = dataclasses.replace(chunker.tokenizer, max_unknown=share)
    with pytest.raises(InputError, match="does not know"):
        strict.encode(unknown + SENTENCE)
    allowed = dataclasses.replace(chunker, tokenizer=strict)
    summary, _ = finish(chunker, allowed.begin(text), lambda at: f"The {at} came.")
    assert summary.unknown_share == share
    stricter = dataclasses.replace(chunker.tokenizer, max_unknown=share / 2)
    with pytest.raises(InputError, match="does not know"):
        next(dataclasses.replace(chunker, tokenizer=stricter).begin(text))
