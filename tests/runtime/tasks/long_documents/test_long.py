"""What is done about a long document is said once, and what windows cannot have is refused."""

import pytest

from pegasus_runtime import GenerationOptions, OptionsError, Summarizer
from pegasus_runtime.tasks.long_documents.long import Long, check_streamed, resolve_long


@pytest.mark.parametrize(
    ("long", "truncate", "expected"),
    [
        (None, False, "error"),
        (None, True, "truncate"),
        ("truncate", True, "truncate"),
        ("chunk", False, "chunk"),
        ("error", False, "error"),
    ],
)
def test_truncate_is_short_for_one_of_the_three(
    long: Long | None, truncate: bool, expected: Long
) -> None:
    assert resolve_long(long, truncate=truncate) == expected


def test_a_contradiction_and_an_unknown_word_are_refused() -> None:
    with pytest.raises(OptionsError, match=r"^truncate=True stands for long='truncate', and long"):
        resolve_long("chunk", truncate=True)
    with pytest.raises(OptionsError, match=r"^long is 'cut', expected 'error', 'truncate' or"):
        resolve_long("cut", truncate=False)  # type: ignore[arg-type]


def test_a_stream_is_not_made_of_windows() -> None:
    check_streamed("truncate")
    with pytest.raises(OptionsError, match=r"^long='chunk' drops what windows say twice, and a"):
        check_streamed("chunk")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GenerationOptions(num_beams=2, num_return_sequences=2), "num_return_sequences above 1"),
        (GenerationOptions(decoder_input_ids=[110]), "decoder_input_ids"),
        (GenerationOptions(token_scores=True), "token_scores"),
    ],
)
def test_what_a_joined_summary_cannot_have_is_refused(
    summarizer: Summarizer, options: GenerationOptions, message: str
) -> None:
    with pytest.raises(OptionsError, match=f"^{message} and long='chunk' do not go together, as"):
        summarizer.summarize("A text.", options, long="chunk")
