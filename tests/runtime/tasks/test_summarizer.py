"""The facade against transformers' `generate`, and everything it refuses."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    BundleError,
    EngineError,
    Failure,
    GenerationInterrupted,
    GenerationOptions,
    Hypothesis,
    InputError,
    OptionsError,
    Summarizer,
    Summary,
)
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, SCHEMA_VERSION, Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import Decoding, Engine, StepScores
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Encoding, Newlines, Tokenizer
from runtime.search.oracle import run_oracle

ARCHITECTURE = "PegasusForConditionalGeneration"
SCORE_TOLERANCE = 1e-4

OPTION_SETS: dict[str, GenerationOptions] = {
    "the checkpoint's defaults": GenerationOptions(),
    "greedy": GenerationOptions(num_beams=1, max_length=12),
    "greedy with penalties": GenerationOptions(
        num_beams=1, repetition_penalty=1.3, no_repeat_ngram_size=2
    ),
    "two beams, never": GenerationOptions(num_beams=2, early_stopping="never", length_penalty=1.0),
    "early stopping": GenerationOptions(num_beams=3, early_stopping=True, length_penalty=-1.0),
    "no repeats": GenerationOptions(
        num_beams=4, no_repeat_ngram_size=1, encoder_no_repeat_ngram_size=2, max_new_tokens=16
    ),
    "penalties and bans": GenerationOptions(
        num_beams=5, repetition_penalty=1.5, bad_words_ids=[[110], [120, 121]], suppress_tokens=[5]
    ),
    "several returned": GenerationOptions(num_beams=6, num_return_sequences=6, max_length=10),
    "forced": GenerationOptions(num_beams=3, forced_bos_token_id=130, min_new_tokens=8),
    "32 beams": GenerationOptions(num_beams=32, max_length=9, num_return_sequences=3),
}


class RecordingEngine:
    """Passes everything on to an engine, and writes down the rows and parents of each step."""

    def __init__(self, engine: Engine, *, step_s: float = 0.0) -> None:
        self.engine = engine
        self.step_s = step_s
        self.batches: list[int] = []
        self.rows: list[list[int]] = []

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        self.batches.append(len(sources))
        self.rows.append([])
        decoding = self.engine.start(
            sources,
            rows_per_document=rows_per_document,
            max_length=max_length,
            interrupt=interrupt,
        )
        return RecordingDecoding(decoding, self.rows[-1], self.step_s)


class RecordingDecoding:
    def __init__(self, decoding: Decoding, rows: list[int], step_s: float) -> None:
        self.decoding, self.rows, self.step_s = decoding, rows, step_s

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        self.rows.append(len(tokens))
        time.sleep(self.step_s)
        return self.decoding.step(tokens, parents, num_candidates=num_candidates, full=full)

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        self.decoding.keep(documents)


class FailingEngine:
    """Passes everything on to an engine, unless a batch is too large or has a bad token."""

    def __init__(self, engine: Engine, *, bad_token: int = -1, most_documents: int = 16) -> None:
        self.engine = RecordingEngine(engine)
        self.bad_token, self.most_documents = bad_token, most_documents

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        decoding = self.engine.start(
            sources,
            rows_per_document=rows_per_document,
            max_length=max_length,
            interrupt=interrupt,
        )
        if len(sources) > self.most_documents:
            raise EngineError("ONNX Runtime failed: no memory")
        if any(self.bad_token in source for source in sources):
            raise EngineError("ONNX Runtime failed: bad token")
        return decoding


class CountdownCancel:
    """Is set from the given question on; those that another thread asks do not count."""

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self.thread = threading.get_ident()

    def is_set(self) -> bool:
        if threading.get_ident() == self.thread:
            self.questions -= 1
        return self.questions < 0


@pytest.fixture(scope="module")
def summarizer(bundle: Bundle, engine: OrtEngine) -> Summarizer:
    return summarizer_on(engine, bundle)


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Callable[[str], Path]) -> Any:
    import transformers

    kind: Any = transformers.PegasusForConditionalGeneration
    return kind.from_pretrained(tiny_checkpoint(ARCHITECTURE)).eval()


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))


def summarizer_on(engine: Engine, bundle: Bundle) -> Summarizer:
    spec = PUBLISHED_TOKENIZERS["pegasus"]
    return Summarizer(bundle, engine, Tokenizer.load(bundle.folder / spec.file, spec))


def texts(count: int, seed: int = 0) -> list[str]:
    """Documents of very different lengths, at most two sentences."""
    rng = np.random.default_rng(seed)
    sentences = tiny_sentences()
    documents = []
    for _ in range(count):
        first, second = rng.integers(0, len(sentences), 2)
        words = f"{sentences[first]} {sentences[second]}".split()
        documents.append(" ".join(words[: rng.integers(2, len(words) + 1)]))
    return documents


def edit_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def assert_close(found: Summary, expected: Summary) -> None:
    assert found.token_ids == expected.token_ids
    assert found.text == expected.text
    assert found.score == pytest.approx(expected.score, rel=SCORE_TOLERANCE)


# Tokens.


@pytest.mark.parametrize("name", OPTION_SETS)
def test_tokens_and_scores_are_those_of_transformers(
    summarizer: Summarizer, model: Any, name: str
) -> None:
    options = OPTION_SETS[name]
    sources = [summarizer.encode(text).token_ids for text in texts(4, seed=1)]
    found = summarizer.generate(sources, options)
    if options.encoder_no_repeat_ngram_size:  # transformers also bans n-grams of padding
        expected = [run_oracle(model, [source], options)[0] for source in sources]
    else:
        expected = run_oracle(model, sources, options)
    for ours, theirs in zip(found, expected, strict=True):
        assert [row.token_ids for row in ours] == [tokens for tokens, _ in theirs]
        if options.num_beams != 1:
            scores = [score for _, score in theirs]
            assert [row.score for row in ours] == pytest.approx(scores, rel=SCORE_TOLERANCE)


def test_the_documents_differ_so_that_the_tests_can_tell_them_apart(
    summarizer: Summarizer,
) -> None:
    found = summarizer.summarize(texts(4, seed=1))
    assert len({summary.token_ids for summary in found}) == 4


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_gives_what_its_documents_give_alone_in_their_order(
    summarizer: Summarizer, seed: int
) -> None:
    documents = texts(20, seed=2)
    alone = {text: summarizer.summarize(text) for text in documents}
    shuffled = [documents[i] for i in np.random.default_rng(seed).permutation(20)]
    for text, summary in zip(shuffled, summarizer.summarize(shuffled), strict=True):
        assert_close(summary, alone[text])


def test_greedy_search_is_a_search_with_one_beam(summarizer: Summarizer, model: Any) -> None:
    text = texts(1, seed=3)[0]
    greedy = summarizer.summarize(text, GenerationOptions(num_beams=1, do_sample=False))
    ids = torch.tensor([summarizer.encode(text).token_ids])
    expected = model.generate(input_ids=ids, num_beams=1, do_sample=False)[0, 1:].tolist()
    assert list(greedy.token_ids) == expected


@pytest.mark.parametrize(
    ("options", "rows"),
    [(GenerationOptions(num_beams=1), 1), (GenerationOptions(), 4)],
)
def test_the_first_step_has_one_row_per_document(
    engine: OrtEngine, bundle: Bundle, options: GenerationOptions, rows: int
) -> None:
    recording = RecordingEngine(engine)
    summarizer_on(recording, bundle).summarize(texts(3), options)
    (counts,) = recording.rows
    assert counts[:2] == [3, 3 * rows]
    assert counts[1:] == sorted(counts[1:], reverse=True)  # documents that are done leave


def test_samples_share_the_first_row_of_their_document(engine: OrtEngine, bundle: Bundle) -> None:
    recording = RecordingEngine(engine)
    options = GenerationOptions(num_beams=1, do_sample=True, num_return_sequences=5, seed=1)
    summarizer_on(recording, bundle).summarize(texts(2), options)
    (counts,) = recording.rows
    assert counts[:2] == [2, 10]


def test_samples_are_reproducible_and_do_not_depend_on_the_batch(summarizer: Summarizer) -> None:
    documents = texts(6, seed=4)
    options = GenerationOptions(num_beams=1, do_sample=True, temperature=1.5, top_k=0, seed=7)
    together = summarizer.summarize(documents, options)
    assert together == summarizer.summarize(documents, options)
    for text, summary in zip(documents, together, strict=True):
        assert summarizer.summarize(text, options).token_ids == summary.token_ids
    other = GenerationOptions(num_beams=1, do_sample=True, temperature=1.5, top_k=0, seed=8)
    assert together != summarizer.summarize(documents, other)


def test_samples_without_a_seed_differ_from_call_to_call(summarizer: Summarizer) -> None:
    options = GenerationOptions(num_beams=1, do_sample=True, temperature=3.0, top_k=0)
    found = {summarizer.summarize(texts(1)[0], options).token_ids for _ in range(4)}
    assert len(found) > 1


# What goes in and comes out.


def test_a_text_gives_a_summary_and_a_list_gives_a_list(summarizer: Summarizer) -> None:
    text = texts(1)[0]
    summary = summarizer.summarize(text)
    assert isinstance(summary, Summary)
    assert summarizer.summarize([text]) == [summary]
    assert summarizer.summarize((text, text)) == [summary, summary]
    assert summary.alternatives == ()
    assert not summary.truncated


def test_a_summary_says_how_much_of_the_document_was_unknown(summarizer: Summarizer) -> None:
    known, unknown = summarizer.summarize([texts(1)[0], "\u4e2d\u6587" * 200])
    assert known.unknown_share < 0.05
    assert unknown.unknown_share == 1.0
    two = GenerationOptions(num_beams=2, num_return_sequences=2)
    (other,) = summarizer.summarize("\u4e2d\u6587" * 200, two).alternatives
    assert other.unknown_share == 1.0


def test_no_documents_give_an_empty_list(summarizer: Summarizer) -> None:
    calls: list[tuple[int, int]] = []
    progress: Callable[[int, int], None] = lambda *counts: calls.append(counts)  # noqa: E731
    assert summarizer.summarize([], on_progress=progress) == []
    assert summarizer.generate([]) == []
    assert calls == []


def test_more_returned_sequences_are_alternatives_best_first(summarizer: Summarizer) -> None:
    text = texts(1, seed=5)[0]
    options = GenerationOptions(num_beams=4, num_return_sequences=3)
    summary = summarizer.summarize(text, options)
    best = summarizer.summarize(text, GenerationOptions(num_beams=4))
    assert_close(summary, best)
    hypotheses = summarizer.generate([summarizer.encode(text).token_ids], options)[0]
    found = [summary, *summary.alternatives]
    assert [each.token_ids for each in found] == [each.token_ids for each in hypotheses]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.alternatives == () for each in summary.alternatives)


def test_a_prefix_begins_the_text_and_the_tokens(summarizer: Summarizer, model: Any) -> None:
    prefix = summarizer.encode_prefix("The mayor")
    options = GenerationOptions(decoder_input_ids=prefix, num_beams=3)
    summary = summarizer.summarize(texts(1)[0], options)
    assert summary.text.startswith("The mayor")
    ids = torch.tensor([summarizer.encode(texts(1)[0]).token_ids])
    found = model.generate(input_ids=ids, decoder_input_ids=torch.tensor([prefix]), num_beams=3)
    assert found[0, 1:].tolist() == list(summary.token_ids)


def test_a_prefix_needs_words(summarizer: Summarizer) -> None:
    with pytest.raises(InputError, match="text is empty or has only whitespace"):
        summarizer.encode_prefix(" ")


def test_scores_of_tokens_come_where_they_are_asked_for(summarizer: Summarizer) -> None:
    options = GenerationOptions(token_scores=True, num_beams=3, num_return_sequences=2)
    summary = summarizer.summarize(texts(1)[0], options)
    for each in (summary, *summary.alternatives):
        assert each.token_scores is not None
        assert len(each.token_scores) == len(each.token_ids)
    assert summarizer.summarize(texts(1)[0]).token_scores is None


def test_the_text_is_the_decoded_tokens(summarizer: Summarizer, bundle: Bundle) -> None:
    tokenizer = Tokenizer.load(bundle.folder / "spiece.model", PUBLISHED_TOKENIZERS["pegasus"])
    summary = summarizer.summarize(texts(1)[0])
    assert summary.text == tokenizer.decode(summary.token_ids)
    assert summary.token_ids[-1] == tokenizer.eos_token_id


def test_truncation_is_asked_for_and_reported(summarizer: Summarizer, bundle: Bundle) -> None:
    limit = bundle.manifest.limits.max_source_tokens
    long = " ".join(tiny_sentences()[:60])
    short, cut = summarizer.summarize([texts(1)[0], long], truncate=True)
    assert (short.truncated, cut.truncated) == (False, True)
    kept = summarizer.encode(long, truncate=True).token_ids
    assert len(kept) == limit
    assert summarizer.generate([kept])[0][0].token_ids == cut.token_ids
    message = rf"^source has \d+ tokens, the bundle takes {limit}, as many as the model was "
    with pytest.raises(InputError, match=message):
        summarizer.summarize(long)


def test_newlines_are_read_as_asked(bundle: Bundle) -> None:
    text = "The old miller sold a red boat.\nA young nurse found two letters."
    options = GenerationOptions(max_length=12)
    found = {}
    newlines: Newlines
    for newlines in ("hf", "original"):
        with Summarizer.load(bundle.folder, threads=1, newlines=newlines) as summarizer:
            ids = summarizer.encode(text).token_ids
            found[newlines] = summarizer.summarize(text, options)
            assert found[newlines].token_ids == summarizer.generate([ids], options)[0][0].token_ids
            spaced = summarizer.encode(text.replace("\n", " ")).token_ids
            assert (ids == spaced) == (newlines == "hf")
    assert "<n>" not in found["original"].text


def test_newlines_must_be_known(bundle: Bundle) -> None:
    with pytest.raises(OptionsError, match="newlines is 'unix', expected 'hf' or 'original'"):
        Summarizer.load(bundle.folder, newlines="unix")  # type: ignore[arg-type]


# Progress, interruption, threads, closing.


def test_progress_counts_finished_documents(engine: OrtEngine, bundle: Bundle) -> None:
    recording = RecordingEngine(engine)
    calls: list[tuple[int, int]] = []
    summarizer_on(recording, bundle).summarize(
        texts(20), GenerationOptions(num_beams=1), on_progress=lambda *counts: calls.append(counts)
    )
    done = np.cumsum(recording.batches).tolist()
    assert len(done) > 1
    assert calls == [(count, 20) for count in done]


def test_a_generation_that_is_cancelled_beforehand_never_reaches_the_engine(
    engine: OrtEngine, bundle: Bundle
) -> None:
    recording = RecordingEngine(engine)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(GenerationInterrupted, match=r"^generation was cancelled$"):
        summarizer_on(recording, bundle).summarize(texts(1), cancel=cancel)
    assert recording.batches == []


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_generation_can_be_cancelled_between_steps(
    engine: OrtEngine, bundle: Bundle, num_beams: int
) -> None:
    recording = RecordingEngine(engine)
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        summarizer_on(recording, bundle).summarize(
            texts(2), GenerationOptions(num_beams=num_beams), cancel=CountdownCancel(4)
        )
    assert len(recording.rows[0]) == 3  # one question before the batch, one before each step


def test_an_event_set_by_another_thread_cancels(engine: OrtEngine, bundle: Bundle) -> None:
    recording = RecordingEngine(engine, step_s=0.02)
    cancel = threading.Event()
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        summarizer_on(recording, bundle).summarize(
            texts(400), GenerationOptions(min_length=24), cancel=cancel
        )
    timer.join()
    assert len(recording.batches) < 25


def test_a_generation_out_of_time_ends_at_the_next_step(engine: OrtEngine, bundle: Bundle) -> None:
    recording = RecordingEngine(engine, step_s=0.6)
    message = r"^generation took longer than 0\.5 s: allow more time, fewer beams or a smaller max_"
    with pytest.raises(GenerationInterrupted, match=message):
        summarizer_on(recording, bundle).summarize(texts(1), timeout_s=0.5)
    assert recording.rows == [[1]]


def test_time_that_suffices_changes_nothing(summarizer: Summarizer) -> None:
    text = texts(1)[0]
    found = summarizer.summarize(text, timeout_s=600, cancel=threading.Event())
    assert found == summarizer.summarize(text)


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan")])
def test_a_timeout_is_a_number_of_seconds(summarizer: Summarizer, timeout_s: float) -> None:
    with pytest.raises(OptionsError, match=r"^timeout_s is (-1\.0|nan), expected a number of sec"):
        summarizer.summarize(texts(1), timeout_s=timeout_s)


def test_an_interrupted_call_gives_what_was_finished(engine: OrtEngine, bundle: Bundle) -> None:
    documents = texts(40)
    alone = summarizer_on(engine, bundle).summarize(documents)
    recording = RecordingEngine(engine)
    cancel = threading.Event()

    def after_a_batch(done: int, total: int) -> None:
        cancel.set()

    with pytest.raises(GenerationInterrupted) as caught:
        summarizer_on(recording, bundle).summarize(
            documents, cancel=cancel, on_progress=after_a_batch
        )
    found = caught.value.results
    assert len(found) == 40
    assert recording.batches == [16]
    assert sum(each is not None for each in found) == 16
    assert found[0] is not None  # the batch of the oldest comes first
    for got, expected in zip(found, alone, strict=True):
        if got is not None:
            assert_close(got, expected)
    with pytest.raises(GenerationInterrupted) as caught:
        summarizer_on(engine, bundle).generate([[5, 1]], timeout_s=0)
    assert caught.value.results == (None,)


# Any number of documents.


def test_each_gives_the_summaries_of_the_list_in_order(summarizer: Summarizer) -> None:
    documents = texts(40, seed=6)
    expected = summarizer.summarize(documents)
    for window in (1, 5, 256):
        found = summarizer.summarize_each(iter(documents), window=window)
        for got, wanted in zip(found, expected, strict=True):
            assert isinstance(got, Summary)
            assert_close(got, wanted)


def test_each_reads_no_further_than_its_window(engine: OrtEngine, bundle: Bundle) -> None:
    num_read = 0

    def endless() -> Iterator[str]:
        nonlocal num_read
        for text in itertools.cycle(texts(5)):
            num_read += 1
            yield text

    recording = RecordingEngine(engine)
    found = summarizer_on(recording, bundle).summarize_each(endless(), window=8)
    assert num_read == 0
    for place, _ in zip(range(20), found, strict=False):
        assert num_read <= place + 8
    num_batches = len(recording.batches)
    found.close()  # type: ignore[attr-defined]
    assert list(found) == []
    assert len(recording.batches) == num_batches


def test_each_runs_no_more_together_than_asked_for(engine: OrtEngine, bundle: Bundle) -> None:
    recording = RecordingEngine(engine)
    summarizer = summarizer_on(recording, bundle)
    assert len(list(summarizer.summarize_each(texts(7), batch_size=3))) == 7
    assert recording.batches == [3, 3, 1]


def test_each_takes_what_encode_gives(summarizer: Summarizer) -> None:
    documents = texts(3)
    encodings = [summarizer.encode(text) for text in documents]
    mixed = [encodings[0], documents[1], encodings[2]]
    assert list(summarizer.summarize_each(mixed)) == summarizer.summarize(documents)


@pytest.mark.parametrize(
    ("token_ids", "message"),
    [
        ((), "encoding has no tokens: give at least EOS"),
        ((5, -1), "encoding has token -1, the vocabulary ends at"),
        ((5,) * 999, "encoding has 999 tokens, the bundle takes"),
    ],
)
def test_each_refuses_encodings_that_are_not_of_this_bundle(
    summarizer: Summarizer, token_ids: tuple[int, ...], message: str
) -> None:
    foreign = Encoding(token_ids=token_ids, truncated=False, num_tokens_before=1)
    good, bad = summarizer.summarize_each(["A boat.", foreign], errors="return")
    assert isinstance(good, Summary)
    assert error_of(bad).startswith(message)
    with pytest.raises(InputError, match=f"^document 1: {message}"):
        list(summarizer.summarize_each(["A boat.", foreign]))


def test_each_looks_at_cancel_and_the_time_while_it_reads(summarizer: Summarizer) -> None:
    refused, endless = itertools.repeat(""), itertools.repeat("A boat.")
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        list(summarizer.summarize_each(refused, errors="return", cancel=CountdownCancel(9)))
    found = summarizer.summarize_each(endless, timeout_s=0)
    with pytest.raises(GenerationInterrupted, match="longer than 0 s") as caught:
        next(found)
    assert caught.value.results == (None,)


def test_each_raises_when_the_turn_of_a_document_comes(summarizer: Summarizer) -> None:
    found = summarizer.summarize_each(["A boat.", "", "A bridge."])
    assert isinstance(next(found), Summary)
    with pytest.raises(InputError, match=r"^document 1: text is empty"):
        next(found)
    results = list(summarizer.summarize_each(["A boat.", "", "A bridge."], errors="return"))
    assert [isinstance(each, Failure) for each in results] == [False, True, False]
    assert error_of(results[1]).startswith("text is empty")


def test_each_tells_how_many_are_done_of_those_that_are_known(summarizer: Summarizer) -> None:
    calls: list[tuple[int, int]] = []
    options = GenerationOptions(num_beams=1)
    progress: Callable[[int, int], None] = lambda *counts: calls.append(counts)  # noqa: E731
    list(summarizer.summarize_each(texts(20), options, on_progress=progress))
    assert calls == [(16, 20), (20, 20)]
    calls.clear()
    list(summarizer.summarize_each(iter(texts(20)), options, window=18, on_progress=progress))
    assert calls[0] == (16, 18)
    assert calls[-1] == (20, 20)


def test_each_refuses_at_once_what_can_never_run(summarizer: Summarizer) -> None:
    with pytest.raises(OptionsError, match="num_beams is 33"):
        summarizer.summarize_each([], GenerationOptions(num_beams=33))
    for wrong in (0, True, 2.5, float("nan"), "3"):
        number: Any = wrong
        says = rf"is {wrong!r}, expected an integer from 1 up$"
        with pytest.raises(OptionsError, match=rf"^batch_size {says}"):
            summarizer.summarize_each([], batch_size=number)
        with pytest.raises(OptionsError, match=rf"^window {says}"):
            summarizer.summarize_each([], window=number)
    with pytest.raises(OptionsError, match="errors is 'ignore'"):
        summarizer.summarize_each([], errors="ignore")  # type: ignore[arg-type]
    with pytest.raises(OptionsError, match="documents is one text, expected several"):
        summarizer.summarize_each("A boat.")


def test_each_says_what_was_finished_when_it_is_interrupted(
    engine: OrtEngine, bundle: Bundle
) -> None:
    cancel = threading.Event()
    found = summarizer_on(engine, bundle).summarize_each(texts(40), cancel=cancel)
    first = next(found)
    assert isinstance(first, Summary)
    cancel.set()
    given: list[Summary | Failure] = [first]
    with pytest.raises(GenerationInterrupted) as caught:
        given.extend(found)
    finished = [each for each in caught.value.results if each is not None]
    assert len(given) + len(finished) == 16
    assert len(given) + len(caught.value.results) == 40


def test_a_summary_says_how_long_it_took(summarizer: Summarizer) -> None:
    start = time.perf_counter()
    found = summarizer.summarize(texts(3))
    assert 0 < sum(each.seconds for each in found) < time.perf_counter() - start


def test_threads_may_share_a_summarizer(summarizer: Summarizer) -> None:
    jobs = [
        (texts(1 + number % 3, seed=number), GenerationOptions(num_beams=1 + number % 5))
        for number in range(24)
    ]
    one_by_one = [summarizer.summarize(documents, options) for documents, options in jobs]

    def summarize(job: tuple[list[str], GenerationOptions]) -> list[Summary]:
        documents, options = job
        return summarizer.summarize(documents, options)

    with ThreadPoolExecutor(max_workers=8) as pool:
        at_once = list(pool.map(summarize, jobs))
    assert at_once == one_by_one


def test_a_closed_summarizer_says_so(bundle: Bundle) -> None:
    with Summarizer.load(str(bundle.folder), threads=1, check_hashes=True) as summarizer:
        assert summarizer.summarize("A red boat.").token_ids
    message = "the Summarizer is closed: load it again"
    with pytest.raises(BundleError, match=message):
        summarizer.summarize("A red boat.")
    summarizer.close()
    with pytest.raises(BundleError, match=message):
        summarizer.generate([])


def test_leaving_by_an_exception_closes_too(bundle: Bundle) -> None:
    with pytest.raises(ZeroDivisionError), Summarizer.load(bundle.folder, threads=1) as summarizer:
        raise ZeroDivisionError
    with pytest.raises(BundleError, match="closed"):
        summarizer.summarize("A red boat.")


# Documents and sources that are refused.


@pytest.mark.parametrize("text", ["", " ", "\n\t \u2003"])
def test_a_text_without_words_is_refused(summarizer: Summarizer, text: str) -> None:
    with pytest.raises(InputError, match=r"^text is empty or has only whitespace: pass text"):
        summarizer.summarize(text)


def test_the_document_of_a_list_that_is_refused_is_named(summarizer: Summarizer) -> None:
    with pytest.raises(InputError, match=r"^document 1: text is empty"):
        summarizer.summarize(["A boat.", "", "A bridge."])
    with pytest.raises(InputError, match=r"^document 0: text is int, expected str"):
        summarizer.summarize([3])  # type: ignore[list-item]


@pytest.mark.parametrize(("given", "what"), [(None, "NoneType"), (5, "int"), (b"A boat.", "bytes")])
def test_what_is_neither_a_text_nor_several_is_refused(
    summarizer: Summarizer, given: Any, what: str
) -> None:
    message = f"^documents is {what}, expected a text or a list of texts$"
    with pytest.raises(InputError, match=message):
        summarizer.summarize(given)
    with pytest.raises(InputError, match=message):
        summarizer.summarize(given, errors="return")
    with pytest.raises(InputError, match=f"^documents is {what}, expected several texts$"):
        summarizer.summarize_each(given)
    message = f"^sources is {what}, expected one list of token ids per document$"
    with pytest.raises(InputError, match=message):
        summarizer.generate(given)


def test_a_sequence_of_any_kind_is_several_documents(summarizer: Summarizer) -> None:
    class Rows:  # as a data set has them, without an iterator
        def __getitem__(self, index: int) -> str:
            return ["A boat."][index]

    rows: Any = Rows()
    assert [summary.text for summary in summarizer.summarize_each(rows)] == [
        summarizer.summarize("A boat.").text
    ]


def test_sources_need_tokens(summarizer: Summarizer) -> None:
    with pytest.raises(InputError, match=r"^source 1 has no tokens: give at least EOS"):
        summarizer.generate([[5, 1], []])


def test_sources_must_be_within_the_limit(summarizer: Summarizer, bundle: Bundle) -> None:
    limit = bundle.manifest.limits.max_source_tokens
    message = f"^source 0 has {limit + 1} tokens, the bundle takes {limit}, as many as the mod"
    with pytest.raises(InputError, match=message):
        summarizer.generate([[5] * (limit + 1)])
    assert summarizer.generate([[5] * limit], GenerationOptions(num_beams=1, max_length=6))


@pytest.mark.parametrize("outside", [-1, 10**6])
def test_sources_must_be_in_the_vocabulary(summarizer: Summarizer, outside: int) -> None:
    message = rf"^source 0 has token {outside}, the vocabulary ends at \d+: encode it with this"
    with pytest.raises(InputError, match=message):
        summarizer.generate([[5, outside, 1]])


@pytest.mark.parametrize("sources", [[5, 6, 1], ["text"], [[5.0, 1]], [None]])
def test_sources_must_be_lists_of_integers(summarizer: Summarizer, sources: Any) -> None:
    with pytest.raises(InputError, match=r"^source 0 is no sequence of integers: give one list of"):
        summarizer.generate(sources)


def test_options_that_cannot_be_met_are_refused_before_the_engine_runs(
    engine: OrtEngine, bundle: Bundle
) -> None:
    recording = RecordingEngine(engine)
    with pytest.raises(OptionsError, match="num_beams is 33, the bundle takes 32"):
        summarizer_on(recording, bundle).summarize("A boat.", GenerationOptions(num_beams=33))
    assert recording.batches == []


# Errors that are returned.


def error_of(result: Summary | list[Hypothesis] | Failure) -> str:
    assert isinstance(result, Failure)
    return str(result.error)


def test_documents_that_cannot_be_summarised_do_not_lose_the_others(
    summarizer: Summarizer,
) -> None:
    first, second = texts(2)
    long = " ".join(tiny_sentences()[:60])
    found = summarizer.summarize([first, "", second, long, "  "], errors="return")
    assert [found[0], found[2]] == summarizer.summarize([first, second])
    assert [each.document for each in found if isinstance(each, Failure)] == [1, 3, 4]
    assert error_of(found[1]) == "text is empty or has only whitespace: pass text with words in it"
    assert error_of(found[3]).startswith("source has ")
    assert isinstance(found[3], Failure)
    assert isinstance(found[3].error, InputError)


def test_a_text_that_fails_alone_is_a_failure(summarizer: Summarizer) -> None:
    text = texts(1)[0]
    assert isinstance(summarizer.summarize("", errors="return"), Failure)
    assert summarizer.summarize(text, errors="return") == summarizer.summarize(text)


def test_sources_that_are_refused_do_not_lose_the_others(summarizer: Summarizer) -> None:
    good = [list(summarizer.encode(text).token_ids) for text in texts(2)]
    bad: list[Any] = [[], [10**6], 5]
    found = summarizer.generate([good[0], *bad, good[1]], errors="return")
    assert [found[0], found[4]] == summarizer.generate(good)
    messages = [error_of(each) for each in found[1:4]]
    assert messages[0] == "source 1 has no tokens: give at least EOS"
    assert messages[1].startswith("source 2 has token 1000000, the vocabulary ends at ")
    assert messages[2].startswith("source 3 is no sequence of integers")


def test_a_document_that_the_engine_fails_on_is_found_among_the_others(
    engine: OrtEngine, bundle: Bundle, summarizer: Summarizer
) -> None:
    sources = [[120, 131, 1], [140, 7, 115, 1], [110, 1]]
    failing = FailingEngine(engine, bad_token=7)
    found = summarizer_on(failing, bundle).generate(sources, errors="return")
    assert failing.engine.batches == [3, 1, 1, 1]
    assert error_of(found[1]) == "ONNX Runtime failed: bad token"
    assert isinstance(found[1], Failure)
    assert found[1].document == 1
    alone = [summarizer.generate([source])[0] for source in (sources[0], sources[2])]
    assert [found[0], found[2]] == alone
    with pytest.raises(EngineError, match=r"^ONNX Runtime failed: bad token$"):
        summarizer_on(failing, bundle).generate(sources)


def test_a_batch_that_the_engine_has_no_memory_for_is_run_one_by_one(
    engine: OrtEngine, bundle: Bundle, summarizer: Summarizer
) -> None:
    documents = texts(5)
    calls: list[tuple[int, int]] = []
    found = summarizer_on(FailingEngine(engine, most_documents=1), bundle).summarize(
        documents, errors="return", on_progress=lambda *counts: calls.append(counts)
    )
    assert found == [summarizer.summarize(text) for text in documents]
    assert calls == [(count, 5) for count in range(1, 6)]


def test_a_document_that_the_options_leave_no_summary_of_does_not_lose_the_others(
    summarizer: Summarizer, bundle: Bundle
) -> None:
    vocabulary = range(bundle.manifest.architecture.vocab_size)
    options = GenerationOptions(
        num_beams=1,
        max_length=6,
        encoder_no_repeat_ngram_size=1,
        suppress_tokens=[token for token in vocabulary if token not in (1, 110, 120)],
    )
    found = summarizer.generate([[120], [110, 120], [110]], options, errors="return")
    assert error_of(found[1]).startswith("no token may follow a row under these options")
    assert not isinstance(found[0], Failure)
    assert not isinstance(found[2], Failure)


def test_progress_counts_the_documents_that_failed(summarizer: Summarizer) -> None:
    calls: list[tuple[int, int]] = []
    documents = ["", texts(1)[0], ""]
    summarizer.summarize(
        documents, errors="return", on_progress=lambda *counts: calls.append(counts)
    )
    assert calls == [(2, 3), (3, 3)]


def test_an_interruption_and_wrong_options_are_raised_in_any_case(summarizer: Summarizer) -> None:
    documents = [*texts(2), ""]
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        summarizer.summarize(documents, errors="return", cancel=CountdownCancel(4))
    with pytest.raises(GenerationInterrupted, match="generation took longer than 0 s"):
        summarizer.summarize(documents, errors="return", timeout_s=0)
    with pytest.raises(OptionsError, match="num_beams is 33"):
        summarizer.summarize([""], GenerationOptions(num_beams=33), errors="return")
    with pytest.raises(OptionsError, match="errors is 'ignore', expected 'raise' or 'return'"):
        summarizer.summarize(documents, errors="ignore")  # type: ignore[call-overload]
    with pytest.raises(OptionsError, match="errors is 'ignore', expected 'raise' or 'return'"):
        summarizer.generate([[5, 1]], errors="ignore")  # type: ignore[call-overload]


# Bundles that are refused.


def test_a_bundle_must_be_a_folder_with_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"not a bundle: .* is not a folder; export one with"):
        Summarizer.load(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"not a bundle: .* has no manifest\.json; export one"):
        Summarizer.load(tmp_path)


def test_a_bundle_for_another_target_is_refused(copied: Path) -> None:
    edit_manifest(copied, target="onnx")
    message = "a bundle for target 'onnx', summarization runs ort, trt, trt-rtx: export with"
    with pytest.raises(BundleError, match=message):
        Summarizer.load(copied)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"task": "text-generation"}, r"open it with TextGenerator$"),
        ({"task": "feature-extraction"}, r"open it with FeatureExtractor$"),
        ({"tokenizer": None}, "export a checkpoint with --task summ"),
    ],
)
def test_a_bundle_for_another_task_is_refused(
    copied: Path, changes: dict[str, Any], advice: str
) -> None:
    edit_manifest(copied, **changes)
    with pytest.raises(BundleError, match=f"this needs 'summarization' and a tokenizer: {advice}"):
        Summarizer.load(copied)


def test_a_bundle_that_lacks_a_graph_is_refused(copied: Path) -> None:
    graphs = json.loads((copied / "manifest.json").read_text())["graphs"]
    del graphs["encoder"]
    edit_manifest(copied, graphs=graphs)
    with pytest.raises(BundleError, match="has no graph encoder: export the checkpoint again"):
        Summarizer.load(copied)


def test_a_bundle_whose_defaults_are_not_offered_is_refused(copied: Path) -> None:
    edit_manifest(copied, generation={"token_healing": True, "guidance_scale": 2.0})
    message = "its generation defaults use guidance_scale, token_healing, which this version does"
    with pytest.raises(BundleError, match=message):
        Summarizer.load(copied)


def test_a_bundle_of_a_newer_version_is_refused(copied: Path) -> None:
    edit_manifest(copied, schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(BundleError, match="written by a newer pegasus-edge: upgrade"):
        Summarizer.load(copied)


@pytest.mark.parametrize("name", ["weights.bin", "encoder.onnx", "spiece.model"])
def test_a_bundle_that_lacks_a_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing or unreadable: copy the bundle again"):
        Summarizer.load(copied)


def test_a_bundle_with_a_file_of_another_size_is_refused(copied: Path) -> None:
    with (copied / "weights.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"weights\.bin: has \d+ bytes, expected \d+: copy the"):
        Summarizer.load(copied)


def test_an_altered_file_is_found_when_hashes_are_checked(copied: Path) -> None:
    data = bytearray((copied / "weights.bin").read_bytes())
    data[-1] ^= 1
    (copied / "weights.bin").write_bytes(data)
    Summarizer.load(copied, threads=1).close()
    with pytest.raises(BundleError, match=r"weights\.bin: its SHA-256 differs from the manifest's"):
        Summarizer.load(copied, check_hashes=True)


def test_a_path_out_of_the_folder_is_refused(copied: Path) -> None:
    text = (copied / "manifest.json").read_text().replace("spiece.model", "../spiece.model")
    (copied / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"\.\./spiece\.model"):
        Summarizer.load(copied)


def test_a_graph_that_is_no_onnx_is_refused(copied: Path) -> None:
    size = (copied / "encoder.onnx").stat().st_size
    (copied / "encoder.onnx").write_bytes(b"\xff" * size)
    with pytest.raises(BundleError, match=r"encoder\.onnx: no ONNX graph \(.*\): copy the bundle"):
        Summarizer.load(copied)


def test_a_summary_imports_nothing_more_as_memory_may_be_short_by_then(bundle: Bundle) -> None:
    script = """
import sys
from pegasus_runtime import GenerationOptions, Summarizer
summarizer = Summarizer.load(sys.argv[1], threads=1)
before = set(sys.modules)
summarizer.summarize("A boat.")
options = GenerationOptions(do_sample=True, num_beams=1, repetition_penalty=2)
summarizer.summarize("A boat.", options)
print(*sorted(set(sys.modules) - before))
"""
    command = [sys.executable, "-c", script, str(bundle.folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_an_unknown_provider_is_refused(bundle: Bundle) -> None:
    with pytest.raises(
        OptionsError, match="provider is 'tpu', expected one of auto, cpu, cuda, tensorrt"
    ):
        Summarizer.load(bundle.folder, provider="tpu")
