"""Two hundred documents of many lengths: the GPU's memory and this process's are flat by then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gpu.bundles import any_bundle, load_summarizer, read_cases
from gpu.setting import GateSetting, WrongError
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.sessions.device.engine import DeviceEngine

__all__ = ["free_bytes", "run"]

OPTIONS = GenerationOptions(num_beams=2, max_length=8)
GPU_SLACK_MIB = 8
HOST_SLACK_MIB = 48


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: SkippedError, WrongError."""
    name = any_bundle(setting)
    sources = [source for case in read_cases(setting, name) for source in case.sources]
    # Every length that a document can have is seen in the first half.
    documents = [sources[n % len(sources)] for n in range(setting.num_documents // 2)]
    with load_summarizer(setting, name) as summarizer:
        before = _run(summarizer, documents)
        middle, host = free_bytes(summarizer), _resident_bytes()
        after = _run(summarizer, documents)
        grown = (middle - free_bytes(summarizer)) / 2**20
        host_grown = (_resident_bytes() - host) / 2**20
    if before != after:
        raise WrongError("the second time the same documents have other tokens")
    if grown > GPU_SLACK_MIB:
        raise WrongError(f"{len(documents)} documents more hold {grown:.0f} MiB of the GPU")
    if host_grown > HOST_SLACK_MIB:
        raise WrongError(
            f"{len(documents)} documents more hold {host_grown:.0f} MiB of the computer"
        )
    return {"documents": 2 * len(documents), "GPU MiB": grown, "host MiB": host_grown}


def free_bytes(summarizer: Summarizer) -> int:
    """Of the GPU's memory, once all work is done."""
    engine: Any = summarizer._open_engine()
    assert isinstance(engine, DeviceEngine)
    device: Any = engine.device
    device.synchronize()
    error, free, _ = device.calls.runtime.cudaMemGetInfo()
    device.calls.check("cudaMemGetInfo", error)
    return int(free)


def _run(summarizer: Summarizer, documents: list[Any]) -> list[tuple[int, ...]]:
    """One at a time, as a service is asked."""
    return [summarizer.generate([each], OPTIONS)[0][0].token_ids for each in documents]


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    pages = int(status.read_text().split()[1]) if status.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") if pages else 0
