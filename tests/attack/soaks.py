"""Sixteen threads on shared bundles: every result is the one of a thread alone, memory stays."""

from __future__ import annotations

import os
import random
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from attack.bases import Bases
from attack.outcome import Outcome, Verdict, announce, draw
from pegasus_runtime import GenerationOptions, QuestionAnswerer, Summarizer, TextClassifier
from pegasus_runtime.generation.failure import Failure

__all__ = ["PART", "prepare", "try_case"]

PART = "soaks"

THREADS = 16
SECONDS = 3.0  # of a case
_BUNDLES = ("bigbird", "fp16", "int8", "pegasus", "wide")
_MORE_BYTES = 40 * 2**20  # over what one thread left, once nothing has run for a while
_MORE_FILES = 4
_QUIET_S = 7.0
_QUIET_EVERY = 10  # cases
_OPTIONS = (
    None,
    GenerationOptions(num_beams=1),
    GenerationOptions(num_beams=8, num_return_sequences=3, length_penalty=2.0),
    GenerationOptions(do_sample=True, num_beams=1, seed=3, temperature=0.8, top_k=20),
    GenerationOptions(max_length=60, min_length=40, no_repeat_ngram_size=2),
    GenerationOptions(repetition_penalty=1.5, token_scores=True),
)

_MANY = 20  # times as many documents at once, for their memory
_BEAMS = GenerationOptions(num_beams=8)

_usage_alone: list[tuple[int, int]] = []


@cache
def _requests(bases: Bases) -> list[Callable[[], Any]]:
    """Every way to ask that is compared."""
    texts = [bases.document(name).read_text("utf-8") for name in ("short", "other", "long")]
    found: list[Callable[[], Any]] = []
    for name in sorted(each for each in _BUNDLES if bases.bundle(each).exists()):
        summarizer = Summarizer.load(bases.bundle(name), threads=1, provider="cpu")
        for text in texts:
            ask = partial(summarizer.summarize, text, truncate=True)
            found += [partial(ask, options=options) for options in _OPTIONS]
        found.append(partial(summarizer.summarize, ["", *texts], truncate=True, errors="return"))
        found.append(partial(summarizer.summarize, texts * _MANY, truncate=True, options=_BEAMS))
    classifier = TextClassifier.load(bases.bundle("labels"), threads=1)
    found.append(lambda: classifier.classify(texts[0]))
    if "answers" in bases.names("bundles"):
        answerer = QuestionAnswerer.load(bases.bundle("answers"), threads=1)
        found.append(lambda: answerer.answer("Who?", texts[1], top_k=3))
    return found


@cache
def _expected(bases: Bases) -> list[Any]:
    return [_plain(request()) for request in _requests(bases)]


def prepare(bases: Bases) -> None:
    """Asks for everything once, alone."""
    _expected(bases)
    _usage_alone.append(_usage())


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """All threads ask at random for some seconds."""
    what = f"{THREADS} threads for {SECONDS:g} s"
    announce(folder, what)
    end, counts = time.monotonic() + SECONDS, Counter[str]()
    requests, expected = _requests(bases), _expected(bases)

    def ask(rng: random.Random) -> None:
        while time.monotonic() < end:
            index = rng.randrange(len(requests))
            try:
                same = _plain(requests[index]()) == expected[index]
            except BaseException as err:  # whatever it is, it is counted
                counts[f"{type(err).__name__}: {err}"] += 1
                continue
            counts["right" if same else f"request {index} differs"] += 1

    rngs = [draw(f"{PART} {index}", seed, case) for index in range(THREADS)]
    threads = [threading.Thread(target=ask, args=[rng]) for rng in rngs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    is_quiet = case % _QUIET_EVERY == _QUIET_EVERY - 1
    if is_quiet:
        time.sleep(_QUIET_S)
    verdict, words = _judge(counts, is_quiet=is_quiet)
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _judge(counts: Counter[str], *, is_quiet: bool) -> tuple[Verdict, str]:
    resident, files = _usage()
    words = f"{counts['right']} right, {resident >> 20} MiB, {files} files"
    wrong = [each for each in counts.items() if each[0] != "right"]
    if wrong or not counts["right"]:
        return Verdict.WRONG, f"{wrong[:3]}; {words}"
    first_resident, first_files = _usage_alone[0]
    too_large = is_quiet and resident > first_resident + _MORE_BYTES
    if too_large or files > first_files + _MORE_FILES:
        return Verdict.LEFTOVER, f"{words}; {first_resident >> 20} MiB, {first_files} files alone"
    return Verdict.RIGHT, words


def _usage() -> tuple[int, int]:
    """Bytes in memory, and open files, of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize(), len(os.listdir("/proc/self/fd"))


def _plain(result: Any) -> Any:
    """What has to be the same, whoever else asks."""
    if isinstance(result, list | tuple):
        return [_plain(each) for each in result]
    if isinstance(result, Failure):
        return str(result.error)
    words = getattr(result, "token_ids", None) or getattr(result, "label", None)
    return words or result.text, round(result.score, 3)
