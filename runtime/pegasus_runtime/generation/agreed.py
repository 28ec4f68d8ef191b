"""The tokens of one document's best hypothesis, as soon as they are certain."""

from collections.abc import Generator, Sequence

from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import Hypothesis, OnStep, run_search
from pegasus_runtime.search.agreement import agreed_tokens
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState, SampleState

__all__ = ["Agreed", "stream_agreed"]


class Agreed:
    """What is certain of one document's best hypothesis, from step to step."""

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.token_ids = settings.prompt[settings.first_length :]
        """What its `Hypothesis.token_ids` begin with: at first, a prefix."""

    def see(self, state: BeamState | SampleState) -> bool:
        """Looks at a state of that document alone; whether more is certain than before."""
        known = self.settings.first_length + len(self.token_ids)
        new = agreed_tokens(state, self.settings, known)
        self.token_ids += new
        return bool(new)


def stream_agreed(
    engine: Engine, source: Sequence[int], settings: SearchSettings, *, on_step: OnStep
) -> Generator[tuple[int, ...], None, list[Hypothesis]]:
    """What `Hypothesis.token_ids` of the best begins with, whenever more of it is certain; then the
    hypotheses that `generate` finds.

    A prefix is the first of them. Raises: as `generate`.
    """
    agreed = Agreed(settings)
    if agreed.token_ids:
        yield agreed.token_ids
    found: list[Hypothesis] = []
    for step in run_search(engine, [source], settings, on_step=on_step):
        if step.found:
            (found,) = step.found.values()
        elif agreed.see(step.state):
            yield agreed.token_ids
    return found
