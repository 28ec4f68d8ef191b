"""Where the GPU's memory is full, a call says so; once there is room again, it works again."""

from __future__ import annotations

from typing import Any

from gpu.bundles import any_bundle, load_summarizer
from gpu.setting import GateSetting, WrongError
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device.engine import DeviceEngine

__all__ = ["run"]

OPTIONS = GenerationOptions(num_beams=2, max_length=6)
LEAST = 2**16


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: SkippedError, WrongError."""
    name = any_bundle(setting)
    with load_summarizer(setting, name) as summarizer:
        longest = summarizer.bundle.manifest.limits.max_source_tokens
        short, long = [5, 1], [*[5] * (longest - 1), 1]
        expected = summarizer.generate([short], OPTIONS)
        engine: Any = summarizer._open_engine()
        assert isinstance(engine, DeviceEngine)
        held = _fill(engine.device)
        if not held:
            raise WrongError("nothing could be allocated")
        said = _ask_without_memory(summarizer, long)
        held.clear()
        if summarizer.generate([short], OPTIONS) != expected:
            raise WrongError("after memory ran out the same document has other tokens")
        summarizer.generate([long], OPTIONS)
    return {"it says": said}


def _ask_without_memory(summarizer: Summarizer, source: list[int]) -> str:
    try:
        summarizer.generate([source], OPTIONS)
    except EngineError as err:
        if "memory" not in str(err):
            raise WrongError(f"without memory it says: {err}") from err
        return str(err)
    raise WrongError("the longest document ran where there was no memory for it")


def _fill(device: Any) -> list[Any]:
    """Pieces that leave no room for any like the smallest."""
    held, size = [], 2**36
    while size >= LEAST:
        try:
            held.append(device.allocate(size))
        except EngineError:
            size //= 2
    return held
