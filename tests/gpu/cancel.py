"""A call that is cancelled in the middle of its steps leaves an engine that goes on as before."""

from __future__ import annotations

from gpu.bundles import any_bundle, load_summarizer, read_cases
from gpu.memory import GPU_SLACK_MIB, free_bytes
from gpu.setting import GateSetting, WrongError
from pegasus_runtime import GenerationInterrupted, GenerationOptions

__all__ = ["run"]

OPTIONS = GenerationOptions(num_beams=4, max_length=12)
TIMES = 12


class _After:
    """An event that is set once it was looked at so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: SkippedError, WrongError."""
    name = any_bundle(setting)
    sources = read_cases(setting, name)[0].sources
    with load_summarizer(setting, name) as summarizer:
        expected = summarizer.generate(sources, OPTIONS)
        before = free_bytes(summarizer)
        for number in range(TIMES):
            try:
                summarizer.generate(sources, OPTIONS, cancel=_After(number % 5 + 1))
            except GenerationInterrupted:
                pass
            else:
                raise WrongError("a call that was cancelled came to its end")
            if summarizer.generate(sources, OPTIONS) != expected:
                raise WrongError("after a cancelled call the same documents have other tokens")
        held = (before - free_bytes(summarizer)) / 2**20
    if held > GPU_SLACK_MIB:
        raise WrongError(f"{TIMES} cancelled calls hold {held:.0f} MiB of the GPU")
    return {"cancelled": TIMES, "GPU MiB": held}
