"""The tokens of one document's best hypothesis, as soon as they are certain."""

from collections.abc import Generator, Sequence

from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import Hypothesis, OnStep, run_search
from pegasus_runtime.search.agreement import agreed_tokens
from pegasus_runtime.search.settings import SearchSettings

__all__ = ["stream_agreed"]


def stream_agreed(
    engine: Engine, source: Sequence[int], settings: SearchSettings, *, on_step: OnStep
) -> Generator[tuple[int, ...], None, list[Hypothesis]]:
    """What `Hypothesis.token_ids` of the best begins with, whenever more of it is certain; then the
    hypotheses that `generate` finds.

    A prefix is the first of them. Raises: as `generate`.
    """
    search = run_search(engine, [source], settings, on_step=on_step)
    agreed = settings.prompt[settings.first_length :]
    if agreed:
        yield agreed
    while True:
        try:
            state = next(search)
        except StopIteration as end:
            found: list[list[Hypothesis]] = end.value
            return found[0]
        new = agreed_tokens(state, settings, settings.first_length + len(agreed))
        if new:
            agreed += new
            yield agreed
