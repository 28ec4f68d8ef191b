"""Classification, answers, features, generation: what the comparison with transformers leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import InputError, OptionsError, pipeline
from pegasus_runtime.pipelines.answer_windows import Token, find_tokens, window_ranges
from pegasus_runtime.pipelines.ranked_spans import rank_spans
from pegasus_runtime.tokenization.limits import cut_longer
from pegasus_runtime.tokenization.tokenizer import Pieces

SHORT, LONGER = tiny_sentences()[0], " ".join(tiny_sentences()[:2])


@pytest.fixture(scope="module")
def pipe(tiny_bundle: Callable[..., Path]) -> Callable[[str], Any]:
    """A task's pipeline."""
    architectures = {
        "text-classification": "BigBirdPegasusForSequenceClassification",
        "question-answering": "BigBirdPegasusForQuestionAnswering",
        "feature-extraction": "PegasusModel",
        "text-generation": "PegasusForCausalLM",
    }
    untyped: Any = pipeline
    made = {
        task: untyped(task, tiny_bundle(name), threads=1) for task, name in architectures.items()
    }
    return made.__getitem__


def test_what_gives_inputs_one_by_one_is_answered_one_by_one(pipe: Callable[[str], Any]) -> None:
    labels = pipe("text-classification")
    assert list(labels(iter([SHORT, LONGER]), batch_size=2)) == labels([SHORT, LONGER])
    answers = pipe("question-answering")
    asked = {"question": "who?", "context": SHORT}
    assert next(answers(iter([asked]))) == answers(asked) == answers("who?", SHORT)
    assert answers(asked, asked) == [answers(asked)] * 2
    features = pipe("feature-extraction")
    assert next(features(iter([SHORT]))) == features(SHORT)
    generator = pipe("text-generation")
    greedy = {"do_sample": False, "max_new_tokens": 4}
    assert next(generator(iter([SHORT]), **greedy)) == generator(SHORT, **greedy)
    several = generator([SHORT, LONGER], batch_size=2, **greedy)
    assert several == generator([SHORT, LONGER], **greedy)


def test_generation_samples_unless_it_is_told_not_to(pipe: Callable[[str], Any]) -> None:
    generator = pipe("text-generation")
    some = {"max_new_tokens": 8, "num_beams": 1}
    texts = {generator(SHORT, seed=seed, **some)[0]["generated_text"] for seed in range(3)}
    assert len(texts) > 1
    assert generator(SHORT, seed=1, **some) == generator(SHORT, seed=1, **some)


@pytest.mark.parametrize(
    ("task", "given", "keywords", "error", "message"),
    [
        (
            "text-classification",
            SHORT,
            {"top_k": 0},
            OptionsError,
            "^top_k is 0, expected a number",
        ),
        (
            "text-classification",
            SHORT,
            {"function_to_apply": "tanh"},
            OptionsError,
            "^function_to_apply is 'tanh', expected one of sigmoid, softmax, none$",
        ),
        (
            "text-classification",
            SHORT,
            {"padding": "max_length"},
            OptionsError,
            "^padding is 'max_length', which has no effect: leave it out$",
        ),
        (
            "text-classification",
            SHORT,
            {"max_length": "a"},
            OptionsError,
            "^max_length is 'a', exp",
        ),
        ("text-classification", SHORT, {"batch_size": 0}, OptionsError, "^batch_size is 0, expect"),
        ("feature-extraction", SHORT, {"batch_size": 0}, OptionsError, "^batch_size is 0, expect"),
        ("text-generation", SHORT, {"batch_size": 0}, OptionsError, "^batch_size is 0, expect"),
        ("text-generation", SHORT, {"max_length": "a"}, OptionsError, "^max_length is 'a', expec"),
        ("text-generation", SHORT, {"min_length": "a"}, OptionsError, "^min_length is 'a', expec"),
        ("text-classification", {"txt": "a"}, {}, InputError, "^input has txt, expected text, and"),
        ("question-answering", [{"a": "b"}], {}, InputError, "^input is no dictionary of question"),
        ("feature-extraction", SHORT, {"layers": 2}, OptionsError, "^layers is no option of this"),
        (
            "feature-extraction",
            SHORT,
            {"tokenize_kwargs": {"max_length": 5}},
            OptionsError,
            "^tokenize_kwargs has max_length, expected truncation alone",
        ),
        (
            "feature-extraction",
            SHORT,
            {"tokenize_kwargs": {"truncation": True}, "truncation": True},
            OptionsError,
            "^truncation is given twice",
        ),
        (
            "text-generation",
            SHORT,
            {"return_full_text": True, "return_tensors": True},
            OptionsError,
            "^return_full_text and return_tensors exclude each other",
        ),
        (
            "text-generation",
            SHORT,
            {"return_text": True, "return_tensors": True},
            OptionsError,
            "^return_text and return_tensors exclude each other",
        ),
        (
            "text-generation",
            SHORT,
            {"handle_long_generation": "cut"},
            OptionsError,
            "^handle_long_generation is 'cut', expected 'hole'$",
        ),
        (
            "text-generation",
            SHORT,
            {"skip_special_tokens": False},
            OptionsError,
            "^skip_special_tokens is False, which is not offered: leave it out$",
        ),
        (
            "text-generation",
            SHORT,
            {"handle_long_generation": "hole", "max_new_tokens": 96},
            OptionsError,
            "^a prompt is to be cut for 96 new tokens, the bundle takes 96",
        ),
        (
            "text-generation",
            LONGER,
            {"handle_long_generation": "hole", "max_length": 9},
            InputError,
            r"^the prompt has \d+ tokens, more than max_length 9: say how many",
        ),
        (
            "text-generation",
            [[{"role": "user", "content": "a"}]],
            {},
            InputError,
            "^prompt is list, expected text: chats are not read$",
        ),
    ],
)
def test_what_cannot_be_met_is_refused(
    pipe: Callable[[str], Any],
    task: str,
    given: Any,
    keywords: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        pipe(task)(given, **keywords)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"question": "who?"}, InputError, "^context is missing: pass question and context$"),
        (
            {"question": "who?", "context": ["a", "b"]},
            InputError,
            "^context is a list, and question is not: pass a question for each$",
        ),
        (
            {"question": ["who?"], "context": ["a", "b"]},
            InputError,
            "^there are 1 questions and 2 contexts$",
        ),
        ({"question": "", "context": "a"}, InputError, "^question: text is empty"),
        ({"question": 5, "context": "a"}, InputError, "^question is int, expected text, or a list"),
        ({"question": ["who?"], "context": 5}, InputError, "^context is int, expected text, or"),
        ({"question": [b"who?"], "context": "a"}, InputError, "^question is bytes, expected text$"),
        ({"top_k": 0}, OptionsError, "^top_k is 0, expected an integer from 1 up$"),
        ({"doc_stride": -1}, OptionsError, "^doc_stride is -1, expected an integer from 0 up$"),
        ({"max_seq_len": "a"}, OptionsError, "^max_seq_len is 'a', expected an integer from 1"),
        ({"max_seq_len": 97}, OptionsError, "^max_seq_len is 97, the bundle takes 96 tokens"),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(
    pipe: Callable[[str], Any], keywords: dict[str, Any], error: type[Exception], message: str
) -> None:
    asked = {"question": "who?", "context": SHORT} if error is OptionsError else {}
    with pytest.raises(error, match=message):
        pipe("question-answering")(**asked, **keywords)


def test_counts_may_be_numpys(pipe: Callable[[str], Any]) -> None:
    ask, label = pipe("question-answering"), pipe("text-classification")
    asked = {"question": "who?", "context": SHORT}
    assert ask(asked, top_k=np.int64(2)) == ask(asked, top_k=2)
    assert label(SHORT, top_k=np.int64(2)) == label(SHORT, top_k=2)


def test_what_a_call_asks_in_the_older_way_wins_over_the_pipelines_own(
    tiny_bundle: Callable[..., Path],
) -> None:
    bundle = tiny_bundle("BigBirdPegasusForSequenceClassification")
    label = pipeline("text-classification", bundle, threads=1, top_k=2)
    assert label(SHORT, return_all_scores=False) == [label(SHORT, top_k=1)] != label(SHORT)


def test_a_passage_begins_with_its_first_word_however_many_spaces_are_before_it(
    pipe: Callable[[str], Any],
) -> None:
    """tokenizers counts the last of several spaces as the word's."""
    ask = pipe("question-answering")
    tight, loose = SHORT, SHORT.replace(" ", " \n ")
    for answer in ask(question="who?", context=loose, top_k=5):
        assert answer["answer"] == answer["answer"].strip()
        assert loose[answer["start"] : answer["end"]] == answer["answer"]
    assert ask(question="who?", context=loose)["score"] == pytest.approx(
        ask(question="who?", context=tight)["score"]
    )


def test_windows_overlap_and_end_with_the_text() -> None:
    assert list(window_ranges(3, 20, max_tokens=24, overlap=9)) == [(0, 20)]
    assert list(window_ranges(3, 20, max_tokens=14, overlap=4)) == [(0, 10), (6, 16), (12, 20)]
    assert list(window_ranges(3, 21, max_tokens=14, overlap=0)) == [(0, 10), (10, 20), (20, 21)]
    with pytest.raises(OptionsError, match=r"^max_seq_len is 4, the question alone has 3 tokens"):
        list(window_ranges(3, 20, max_tokens=4, overlap=0))
    with pytest.raises(OptionsError, match=r"^doc_stride is 10, a window has room for 10 tokens"):
        list(window_ranges(3, 20, max_tokens=14, overlap=10))


def test_a_piece_that_is_a_space_stands_for_the_character_after_it() -> None:
    pieces = Pieces(token_ids=(1, 2, 3, 4), offsets=((0, 0), (0, 2), (2, 4), (4, 5)))
    assert find_tokens("ab  c", pieces) == [
        Token(start=0, end=1, word=0),
        Token(start=0, end=2, word=0),
        Token(start=4, end=5, word=1),
        Token(start=4, end=5, word=1),
    ]


def test_spans_lie_in_the_text_and_are_as_many_as_there_are() -> None:
    logits = np.array([9.0, 1.0, 3.0, 2.0, 9.0], np.float32)
    spans = list(rank_spans(logits, logits, (1, 4), count=50, max_tokens=2))
    assert [span[:2] for span in spans[:2]] == [(2, 2), (2, 3)]
    assert len(spans) == 9  # those of no probability among them, as there
    assert next(rank_spans(logits, logits, (1, 4), count=1, max_tokens=2))[:2] == (2, 2)


@pytest.mark.parametrize(
    ("lengths", "limit", "kept"),
    [
        ((2, 9), 8, (2, 6)),
        ((9, 2), 8, (6, 2)),
        ((9, 7), 9, (5, 4)),
        ((9, 0), 5, (5, 0)),
        ((3, 4), 7, (3, 4)),
        ((20, 30), 9, (4, 5)),
    ],
)
def test_of_a_pair_the_longer_is_cut_first(
    lengths: tuple[int, int], limit: int, kept: tuple[int, int]
) -> None:
    assert cut_longer(*lengths, limit) == kept
