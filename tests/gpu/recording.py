"""A step is recorded, and replayed on what its memory holds by then; a failed one hurts nobody.

What is recorded here are copies; `parity` records the steps of plans.
"""

from __future__ import annotations

import numpy as np

from gpu.copies import equal, view_of
from gpu.setting import GateSetting, WrongError
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.cuda.recording import CudaGraph
from pegasus_runtime.sessions.device.protocol import Rows

__all__ = ["run"]

REPLAYS = 20
ARRAY = np.arange(1000, dtype=np.float32)


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: WrongError, EngineError."""
    device = CudaDevice()
    _check_replays(device)
    _check_a_failure(device)
    _check_letting_go(device)
    _check_replays(device)
    return {"replays": REPLAYS}


def _check_replays(device: CudaDevice) -> None:
    views = [view_of(device, ARRAY) for _ in range(3)]
    rows = [Rows(buffer=x.buffer, offset=0, pitch=4000, width=4000, count=1) for x in views]

    def step() -> None:
        device.copy(rows[1], rows[2])  # what the step before wrote
        device.copy(rows[0], rows[1])

    graph = CudaGraph(device, step)
    equal("a recording that was not launched", device.download(views[1]), 0 * ARRAY)
    for number in range(REPLAYS):
        device.upload(ARRAY + number, views[0])
        graph.launch()
    equal("the last replay", device.download(views[1]), ARRAY + REPLAYS - 1)
    equal("the replay before", device.download(views[2]), ARRAY + REPLAYS - 2)


def _check_a_failure(device: CudaDevice) -> None:
    """CUDA forbids allocations while it records."""
    try:
        CudaGraph(device, lambda: [device.allocate(16)].clear())
    except EngineError:
        return
    raise WrongError("an allocation was recorded, which CUDA forbids")


def _check_letting_go(device: CudaDevice) -> None:
    """Of this device object and of another bundle's, while one records."""
    other = CudaDevice()
    held = [device.allocate(2**20), other.allocate(2**20)]
    CudaGraph(device, held.clear).launch()
    device.synchronize()
