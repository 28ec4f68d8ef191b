"""What the runtime says, as a client is told it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    Batcher,
    GenerationOptions,
    QuestionAnswerer,
    Summarizer,
    TextClassifier,
)
from pegasus_runtime.errors import PegasusError
from pegasus_runtime.tokenization.unknown_share import over_max_unknown
from pegasus_serve.wire.errors import problem_of

TEXT = tiny_sentences()[0]
LONG = " ".join(tiny_sentences()[:60])
OF_PYTHON = re.compile(r"=True|='|\(--|=1\b| pass | call |submit")


def told(ask: Callable[[], object]) -> str:
    with pytest.raises(PegasusError) as caught:
        ask()
    assert OF_PYTHON.search(str(caught.value)) or "allow more time" in str(caught.value)
    problem = problem_of(caught.value)
    assert problem is not None
    assert not OF_PYTHON.search(problem.message), problem.message
    return problem.message


def test_a_text_that_is_too_long_names_the_field(
    summarizer: Summarizer, classifier: TextClassifier, answerer: QuestionAnswerer
) -> None:
    message = told(lambda: summarizer.summarize(LONG))
    assert "tokens, the bundle takes 96" in message
    assert 'set long to "truncate" or "chunk"' in message
    message = told(lambda: classifier.classify(LONG))
    assert 'set long to "truncate"' in message
    assert "chunk" not in message
    message = told(lambda: answerer.answer(TEXT, LONG))
    assert message.endswith('or set long to "truncate"')


def test_options_are_told_as_fields(summarizer: Summarizer) -> None:
    for options, words in (
        (GenerationOptions(num_beams=1, temperature=0.5), "set do_sample to true, or leave"),
        (GenerationOptions(num_beams=1, num_return_sequences=2), "set do_sample to true"),
        (GenerationOptions(num_beams=2, num_return_sequences=3), "true and num_beams to 1"),
    ):
        assert words in told(lambda options=options: summarizer.resolve(options))  # type: ignore[misc]
    options = GenerationOptions(token_scores=True)
    message = told(lambda: summarizer.summarize(TEXT, options, long="chunk"))
    assert 'token_scores and long "chunk" do not go together' in message


def test_chunks_are_not_streamed_and_late_ones_name_the_field(summarizer: Summarizer) -> None:
    with Batcher(summarizer) as batcher:
        message = told(lambda: batcher.submit(TEXT, long="chunk", on_partial=lambda partial: None))
        assert message.endswith('leave stream out, or set long to "truncate"')
        late = batcher.submit(TEXT, deadline_s=0)
        message = told(late.result)
        assert message.startswith(
            "the summary was not there in time, waiting included: allow more with timeout_s, send"
        )


def test_heads_name_the_field_for_time(classifier: TextClassifier) -> None:
    message = told(lambda: classifier.classify(TEXT, timeout_s=0))
    assert "took longer than it may: allow more with timeout_s" in message


def test_a_limit_of_the_server_is_told_as_the_servers() -> None:
    problem = problem_of(over_max_unknown(0.5, 0.2))
    assert problem is not None
    assert problem.message.endswith("or clean the text; the limit is the server's --max-unknown")
