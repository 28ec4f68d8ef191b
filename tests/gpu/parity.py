"""A bundle's plans against transformers' own tokens, which were written down on a CPU.

Every sequence is transformers', unless the best two of a search are tied, as their scores tell: in
fp32 to the fifth digit, in fp16 to the second, where draws, which rounding may turn, are left out.
"""

from __future__ import annotations

import math
import time

from gpu.bundles import Case, plans_of, read_cases
from gpu.setting import GateSetting, WrongError
from pegasus_runtime import Hypothesis, Summarizer
from pegasus_runtime.sessions.device.engine import DeviceEngine

__all__ = ["check_recorded", "run"]

SCORE_TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}
"""Relative; plans are built without TF32."""
TIES = {"fp32": 1e-5, "fp16": 2e-2}
"""Likewise: how near the best two of a search may be for either to be right."""
LEAST_EQUAL = 0.9
"""Share of documents whose tokens are transformers'."""


def run(
    setting: GateSetting, *, name: str, plugin_way: str | None = None
) -> dict[str, float | str]:
    """Builds the plans, loads them, and runs every case.

    plugin_way: how TensorRT gets the plugin of these plans; None: as it would.
    Raises: SkippedError, WrongError.
    """
    folder, build_s = plans_of(setting, name, plugin_way)
    precision = name.rpartition("-")[2]
    started = time.perf_counter()
    with Summarizer.load(folder) as summarizer:
        loaded = time.perf_counter()
        figures = _run_cases(summarizer, read_cases(setting, name), precision)
        ended = time.perf_counter()
        check_recorded(summarizer)
    figures |= {"build s": build_s, "load s": loaded - started, "run s": ended - loaded}
    return figures


def _run_cases(summarizer: Summarizer, cases: list[Case], precision: str) -> dict[str, float | str]:
    tolerance = SCORE_TOLERANCES[precision]
    documents = equal = 0
    for number, case in enumerate(cases):
        if case.is_drawn and precision != "fp32":
            continue
        for ours, theirs in zip(
            summarizer.generate(case.sources, case.options), case.expected, strict=True
        ):
            documents += 1
            got, expected = [x.token_ids for x in ours], [tokens for tokens, _ in theirs]
            if case.is_drawn:
                got, expected = sorted(got), sorted(expected)
            equal += got == expected
            if got != expected and not _is_tied(ours, theirs, precision):
                raise WrongError(f"case {number}: got {got[:1]}, transformers has {expected[:1]}")
            _check_scores(number, ours, dict(theirs), tolerance)
    if not documents:
        raise WrongError("no case was run")
    if equal < LEAST_EQUAL * documents:
        raise WrongError(f"{equal} of {documents} documents have transformers' tokens")
    return {"documents": documents, "equal": equal}


def _is_tied(
    ours: list[Hypothesis], theirs: list[tuple[tuple[int, ...], float]], precision: str
) -> bool:
    """Whether the best of each have nearly the same score; greedy search has none to tell by."""
    if not ours or not theirs:
        return False
    best = theirs[0][1]
    if math.isnan(best):
        return precision != "fp32"
    return abs(ours[0].score - best) <= TIES[precision] * max(1.0, abs(best))


def _check_scores(
    number: int, ours: list[Hypothesis], theirs: dict[tuple[int, ...], float], tolerance: float
) -> None:
    for each in ours:
        score = theirs.get(each.token_ids, math.nan)
        if abs(each.score - score) > tolerance * max(1.0, abs(score)):  # nan: greedy has none
            raise WrongError(f"case {number}: the score is {each.score}, transformers' is {score}")


def check_recorded(summarizer: Summarizer) -> None:
    """Steps are launched as CUDA graphs, or every figure of speed is another product's."""
    engine = summarizer._open_engine()
    assert isinstance(engine, DeviceEngine)
    if not engine.decoder_step.capture:  # type: ignore[attr-defined]
        raise WrongError("the decoder's steps cannot be recorded as a CUDA graph")
