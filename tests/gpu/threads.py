"""Two threads over one bundle, and two bundles in one process, give what one alone gives.

While they run, Python's collector lets go of what the other thread dropped: also in the middle of
a recording.
"""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpu.bundles import any_bundle, load_summarizer, read_cases
from gpu.parity import check_recorded
from gpu.setting import GateSetting, WrongError
from pegasus_runtime import GenerationOptions, Summarizer

__all__ = ["run"]

OPTIONS = GenerationOptions(num_beams=3, max_length=10)
ROUNDS = 4


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: SkippedError, WrongError."""
    name = any_bundle(setting)
    sources = [source for case in read_cases(setting, name) for source in case.sources][:8]
    gc.set_threshold(50)
    with load_summarizer(setting, name) as first, load_summarizer(setting, name) as second:
        expected = _run(first, sources)
        for pair in ((first, first), (first, second)):
            with ThreadPoolExecutor(2) as pool:
                orders = (sources, sources[::-1])
                found = [pool.submit(_run, *each) for each in zip(pair, orders, strict=True)]
                results = [each.result() for each in found]
            if any(x != expected for x in results):
                raise WrongError("two threads at once have other tokens than one alone")
        for summarizer in (first, second):
            check_recorded(summarizer)
    return {"documents": 4 * ROUNDS * len(sources)}


def _run(summarizer: Summarizer, sources: list[Any]) -> dict[str, tuple[int, ...]]:
    """Document -> its tokens, however often it was asked."""
    found: dict[str, tuple[int, ...]] = {}
    for _ in range(ROUNDS):
        for source in sources:
            tokens = summarizer.generate([source], OPTIONS)[0][0].token_ids
            if found.setdefault(str(source), tokens) != tokens:
                raise WrongError("the same document has other tokens from time to time")
    return found
