"""Generation: encode, then step the search and the model in turn until every document is done.

A document that is done leaves both at once, so the batch gets smaller from step to step. So does
one that nobody waits for any more.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.protocol import Decoding, Engine, StepScores
from pegasus_runtime.errors import EngineError
from pegasus_runtime.search import beam, sampling
from pegasus_runtime.search.beam_sampling import draw_continuations
from pegasus_runtime.search.candidates import (
    StepPlan,
    plan_step,
    processed_log_probs,
    top_candidates,
)
from pegasus_runtime.search.departure import (
    done_documents,
    plan_staying,
    rows_of,
    take_beams,
    take_samples,
)
from pegasus_runtime.search.draws import seed_generators
from pegasus_runtime.search.prefix import prefix_inputs, row_starts
from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.sources import index_source
from pegasus_runtime.search.state import BeamState, SampleState

__all__ = ["Hypothesis", "OnStep", "Search", "SearchStep", "generate", "run_search"]

_State = TypeVar("_State", BeamState, SampleState)

OnStep = Callable[[int], None]
"""Called before each step with the tokens that rows hold, start token included; what it raises ends
the generation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchStep:
    """What is known between two steps."""

    state: BeamState | SampleState
    """Of the documents that go on: none after the last step."""
    found: Mapping[int, list[Hypothesis]]
    """Of those that the last step ended, best first, by their number."""


Search = Generator[SearchStep, Collection[int] | None, None]
"""A step each time that it is asked to go on, the last with no documents. What is sent to it are
the numbers of documents that leave before the next step: nothing is found for these."""


def generate(
    engine: Engine,
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    *,
    on_step: OnStep | None = None,
) -> list[list[Hypothesis]]:
    """Generates from documents (token ids with EOS): one list per document, best first.

    Where the settings say that rows continue the documents, these are of that one length.

    Raises OptionsError where the options leave no token possible, EngineError where the engine
    breaks its Protocol or returns NaN.
    """
    if not sources:
        return []
    found: dict[int, list[Hypothesis]] = {}
    for step in run_search(engine, sources, settings, on_step=on_step):
        found.update(step.found)
    return [found[document] for document in range(len(sources))]


def run_search(
    engine: Engine,
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    *,
    on_step: OnStep | None = None,
) -> Search:
    """The same, one or more documents, step by step. Raises: as `generate`."""
    run = _search_beams if settings.num_beams > 1 else _sample_rows
    return run(engine, sources, settings, on_step or _ignore_step)


def _search_beams(
    engine: Engine, sources: Sequence[Sequence[int]], settings: SearchSettings, on_step: OnStep
) -> Search:
    decoding = _start(engine, sources, settings, on_step)
    indexed = [index_source(ids, settings) for ids in sources]
    generators = seed_generators(sources, settings.seed, 1) if settings.do_sample else []
    found: Mapping[int, list[Hypothesis]] = {}
    state = beam.initial_state(row_starts(sources, settings), settings)
    while len(state.documents):
        leaving = yield SearchStep(state=state, found=found)
        state = _let_leave(decoding, state, leaving, take_beams)
        if not len(state.documents):
            return
        on_step(state.length)
        plan = plan_step(
            beam.row_history(state, settings),
            [indexed[each] for each in state.documents],
            settings,
        )
        scores = _run_model(decoding, beam.row_inputs(state, settings), plan, settings)
        continuations = _continue_beams(state, plan, scores, generators, settings)
        state = beam.step(state, continuations, settings)
        found = {}
        if state.done.any():
            ended = take_beams(state, np.flatnonzero(state.done))
            hypotheses = beam.finalize(ended, settings)
            found = dict(zip(ended.documents.tolist(), hypotheses, strict=True))
            state = take_beams(state, _keep_staying(decoding, state.done))
    yield SearchStep(state=state, found=found)


def _continue_beams(
    state: BeamState,
    plan: StepPlan,
    scores: StepScores | None,
    generators: Sequence[np.random.Generator],
    settings: SearchSettings,
) -> beam.Continuations:
    if not settings.do_sample:
        return beam.rank_candidates(state, top_candidates(plan, scores, settings), settings)
    drawing = [generators[each] for each in state.documents]
    return draw_continuations(state, processed_log_probs(plan, scores, settings), drawing, settings)


def _sample_rows(
    engine: Engine, sources: Sequence[Sequence[int]], settings: SearchSettings, on_step: OnStep
) -> Search:
    decoding = _start(engine, sources, settings, on_step)
    indexed = [index_source(ids, settings) for ids in sources]
    generators = seed_generators(sources, settings.seed, settings.rows_per_document)
    found: Mapping[int, list[Hypothesis]] = {}
    state = sampling.initial_samples(row_starts(sources, settings), settings)
    while len(state.documents):
        leaving = yield SearchStep(state=state, found=found)
        state = _let_leave(decoding, state, leaving, take_samples)
        if not len(state.documents):
            return
        on_step(state.length)
        drawing = [generators[row] for row in rows_of(state.documents, settings.rows_per_document)]
        plan = plan_step(
            sampling.sample_history(state, settings),
            [indexed[each] for each in state.documents],
            settings,
        )
        scores = _run_model(decoding, sampling.sample_inputs(state, settings), plan, settings)
        choice = sampling.choose_tokens(state, plan, scores, drawing, settings)
        state = sampling.append_tokens(state, choice, settings)
        done, found = done_documents(state), {}
        if done.any():
            ended = take_samples(state, np.flatnonzero(done))
            hypotheses = sampling.finalize_samples(ended, settings)
            found = dict(zip(ended.documents.tolist(), hypotheses, strict=True))
            state = take_samples(state, _keep_staying(decoding, done))
    yield SearchStep(state=state, found=found)


def _let_leave(
    decoding: Decoding,
    state: _State,
    leaving: Collection[int] | None,
    take: Callable[[_State, npt.NDArray[np.int64]], _State],
) -> _State:
    """The state without the documents of these numbers, which leave the model's batch, too."""
    if not leaving:
        return state
    leaves = np.isin(state.documents, list(leaving))
    return take(state, _keep_staying(decoding, leaves)) if leaves.any() else state


def _keep_staying(decoding: Decoding, leaves: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Lets documents [B] leave the model's batch; returns those that stay, in order."""
    staying = plan_staying(leaves)
    if staying.size:
        decoding.keep(staying)
    return staying


def _start(
    engine: Engine, sources: Sequence[Sequence[int]], settings: SearchSettings, on_step: OnStep
) -> Decoding:
    """Encodes, and feeds all of the prompt but its last token."""
    decoding = engine.start(
        sources, rows_per_document=settings.rows_per_document, max_length=settings.max_length
    )
    for length, (tokens, parents) in enumerate(prefix_inputs(len(sources), settings), start=1):
        on_step(length)
        scores = decoding.step(tokens, parents, num_candidates=1, full=False)
        _check_scores(scores, length)
    return decoding


def _run_model(
    decoding: Decoding,
    inputs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None],
    plan: StepPlan,
    settings: SearchSettings,
) -> StepScores | None:
    """Steps the model; None where it need not run, because the last token is forced."""
    length = plan.history.shape[1]
    if plan.forced and length == settings.max_length - 1:
        return None
    tokens, parents = inputs
    scores = decoding.step(tokens, parents, num_candidates=plan.num_candidates, full=plan.full)
    _check_scores(scores, length)
    return scores


def _check_scores(scores: StepScores, length: int) -> None:
    if np.isnan(scores.top_scores[:, 0]).any():
        raise EngineError(
            f"the engine returned NaN scores for token {length}: the precision of the bundle does "
            "not hold for this input, use one with higher precision"
        )


def _ignore_step(length: int) -> None:
    pass
