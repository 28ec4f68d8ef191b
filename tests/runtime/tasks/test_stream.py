"""A summary as it comes: nothing that is told is taken back, and the last is `summarize`'s."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    EngineError,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    Partial,
    Summarizer,
    Summary,
    TextGenerator,
)
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.protocol import Decoding
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Tokenizer

TEXTS = [" ".join(tiny_sentences()[start : start + 2]) for start in (0, 7, 19)]

OPTION_SETS = {
    "defaults": GenerationOptions(),
    "greedy": GenerationOptions(num_beams=1),
    "two beams, never": GenerationOptions(num_beams=2, early_stopping="never"),
    "early": GenerationOptions(num_beams=3, early_stopping=True, length_penalty=-1.0),
    "several returned": GenerationOptions(num_beams=4, num_return_sequences=3),
    "forced": GenerationOptions(num_beams=3, forced_bos_token_id=130, min_new_tokens=8),
    "samples": GenerationOptions(num_beams=1, do_sample=True, seed=2, num_return_sequences=3),
    "sampled beams": GenerationOptions(num_beams=3, do_sample=True, seed=2, token_scores=True),
}


@pytest.fixture(scope="module")
def summarizer(bundle: Bundle, engine: OrtEngine) -> Summarizer:
    spec = bundle.manifest.tokenizer
    return Summarizer(bundle, engine, Tokenizer.load(bundle.folder / spec.file, spec))


def parts_and_last(stream: Iterator[Any]) -> tuple[list[Partial], Any]:
    *parts, last = stream
    assert all(isinstance(part, Partial) for part in parts)
    return parts, last


def assert_grows(parts: Sequence[Partial], last: Any) -> None:
    for part, following in itertools.pairwise([*parts, last]):
        assert following.text.startswith(part.text)
        assert following.token_ids[: len(part.token_ids)] == part.token_ids
        assert part.text == part.text.rstrip()
    assert len({part.token_ids for part in parts}) == len(parts)


@pytest.mark.parametrize("name", OPTION_SETS)
def test_each_part_begins_what_comes_later_and_the_last_is_the_summary(
    summarizer: Summarizer, name: str
) -> None:
    told = 0
    for text in TEXTS:
        parts, last = parts_and_last(summarizer.stream(text, OPTION_SETS[name]))
        assert last == summarizer.summarize(text, OPTION_SETS[name])
        assert_grows(parts, last)
        told += len(parts)
    assert told > 0 or name == "samples", "nothing was certain"


def test_one_beam_tells_every_token(summarizer: Summarizer) -> None:
    parts, last = parts_and_last(summarizer.stream(TEXTS[0], OPTION_SETS["greedy"]))
    assert [len(part.token_ids) for part in parts] == list(range(1, len(last.token_ids)))
    assert parts[-1].text


def test_a_prefix_is_the_first_part(summarizer: Summarizer) -> None:
    prefix = summarizer.encode_prefix("The mayor")
    options = GenerationOptions(decoder_input_ids=prefix, num_beams=4)
    parts, last = parts_and_last(summarizer.stream(TEXTS[0], options))
    assert (parts[0].token_ids, parts[0].text) == (prefix, "The mayor")
    assert_grows(parts, last)


def test_a_document_is_cut_where_that_is_asked_for(summarizer: Summarizer) -> None:
    text = TEXTS[0] * 40
    with pytest.raises(InputError, match="shorten it, pass truncate=True"):
        summarizer.stream(text)
    _, last = parts_and_last(summarizer.stream(text, truncate=True))
    assert last.truncated
    assert last == summarizer.summarize(text, truncate=True)
    encoding = summarizer.encode(text, truncate=True)
    assert parts_and_last(summarizer.stream(encoding))[1] == last
    with pytest.raises(InputError, match="encoding has token 4000"):
        summarizer.stream(replace(encoding, token_ids=(4000, 1)))


@pytest.mark.parametrize("num_beams", [1, 4])
def test_steps_are_told_within_a_document(summarizer: Summarizer, num_beams: int) -> None:
    options = GenerationOptions(num_beams=num_beams, max_length=12)
    streamed: list[tuple[int, int]] = []
    steps: list[tuple[int, int]] = []
    *_, last = summarizer.stream(TEXTS[0], options, on_step=lambda *counts: streamed.append(counts))
    assert summarizer.summarize(TEXTS[0], options, on_step=lambda *each: steps.append(each)) == last
    assert steps == streamed
    assert steps == [(length, 12) for length in range(1, len(steps) + 1)]
    each: list[tuple[int, int]] = []
    list(summarizer.summarize_each(TEXTS[:1], options, on_step=lambda *one: each.append(one)))
    ids = [summarizer.encode(TEXTS[0]).token_ids]
    summarizer.generate(ids, options, on_step=lambda *one: each.append(one))
    assert each == steps * 2


def test_what_is_wrong_is_told_at_once(summarizer: Summarizer) -> None:
    with pytest.raises(InputError, match="text is empty"):
        summarizer.stream(" ")
    with pytest.raises(InputError, match="text is list, expected str"):
        summarizer.stream([TEXTS[0]])  # type: ignore[arg-type]
    with pytest.raises(OptionsError, match="num_beams is 33"):
        summarizer.stream(TEXTS[0], GenerationOptions(num_beams=33))
    with pytest.raises(OptionsError, match="timeout_s is -1"):
        summarizer.stream(TEXTS[0], timeout_s=-1)


def test_a_stream_is_cancelled_between_its_parts(summarizer: Summarizer) -> None:
    cancel = threading.Event()
    stream = summarizer.stream(TEXTS[0], GenerationOptions(num_beams=1), cancel=cancel)
    assert isinstance(next(stream), Partial)
    cancel.set()
    with pytest.raises(GenerationInterrupted, match="generation was cancelled"):
        next(stream)
    assert list(stream) == []
    assert isinstance(summarizer.summarize(TEXTS[0]), Summary)


def test_a_stream_ends_when_its_time_is_over(summarizer: Summarizer) -> None:
    with pytest.raises(GenerationInterrupted, match="generation took longer than 0 s"):
        list(summarizer.stream(TEXTS[0], timeout_s=0))


def test_nothing_runs_unless_it_is_asked_for(bundle: Bundle, summarizer: Summarizer) -> None:
    class Unused:
        def start(
            self, sources: Sequence[Sequence[int]], *, rows_per_document: int, max_length: int
        ) -> Decoding:
            raise MemoryError("of 3 GB")

    stream = Summarizer(bundle, Unused(), summarizer._tokenizer).stream(TEXTS[0])
    with pytest.raises(EngineError, match=r"not enough memory \(of 3 GB\): give shorter"):
        next(stream)


@pytest.fixture(scope="module")
def generator(tiny_bundle: Callable[..., Path]) -> Iterator[TextGenerator]:
    with TextGenerator.load(tiny_bundle("PegasusForCausalLM"), threads=1) as found:
        yield found


@pytest.mark.parametrize("num_beams", [1, 3])
def test_what_follows_a_prompt_comes_without_the_prompt(
    generator: TextGenerator, num_beams: int
) -> None:
    options = GenerationOptions(num_beams=num_beams, max_new_tokens=9)
    steps: list[tuple[int, int]] = []
    told = 0
    for prompt in ("The mayor of the", "A river", "They said so ."):
        parts, last = parts_and_last(generator.stream(prompt, options))
        expected = generator.generate(prompt, options, on_step=lambda *one: steps.append(one))
        assert last == expected
        assert_grows(parts, last)
        told += sum(bool(part.text) for part in parts)
    assert told > 0 or num_beams > 1
    assert steps[0][1] - steps[0][0] == 9
