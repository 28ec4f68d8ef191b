"""Memory comes and goes, copies carry bytes, and all is done in the order it was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu.setting import GateSetting, WrongError
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.device.protocol import Rows, View

__all__ = ["equal", "run", "view_of"]

LARGE = 9 * 2**20 + 3  # several times the staging memory, and no multiple of anything


def view_of(device: CudaDevice, array: np.ndarray[Any, Any]) -> View:
    return View(buffer=device.allocate(array.nbytes), shape=array.shape, dtype=array.dtype)


def equal(what: str, got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Raises: WrongError."""
    if got.dtype != expected.dtype or not np.array_equal(got, expected):
        raise WrongError(f"{what}: got other bytes than went in")


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: WrongError, EngineError."""
    device = CudaDevice()
    _check_fresh_memory(device)
    _check_order(device)
    _check_pieces(device)
    return {"bytes at most": LARGE}


def _check_fresh_memory(device: CudaDevice) -> None:
    for size in (1, 255, 4096, LARGE):
        buffer = device.allocate(size)
        view = View(buffer=buffer, shape=(size,), dtype=np.dtype(np.uint8))
        equal("fresh memory", device.download(view), np.zeros(size, np.uint8))
        if buffer.address % 256:
            raise WrongError(f"memory is at {buffer.address:#x}, no multiple of 256")


def _check_order(device: CudaDevice) -> None:
    """Sources are overwritten as soon as a call returns; nothing waits in between."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, size, np.uint8) for size in (3, LARGE, 2**20, 2**20 + 1) * 2]
    views = [view_of(device, array) for array in arrays]
    for _ in range(2):
        for array, view in zip(arrays, views, strict=True):
            source = array.copy()
            device.upload(source, view)
            source[...] = 0xFF
    first, last = views[0], view_of(device, arrays[0])
    for number in range(50):  # each upload is copied on before the next one comes
        device.upload(np.full(first.shape, number, np.uint8), first)
        device.copy(_whole(first), _whole(last))
    equal("the last of many copies", device.download(last), np.full(first.shape, 49, np.uint8))
    for array, view in zip(arrays[1:], views[1:], strict=True):
        equal("what was uploaded", device.download(view), array)


def _check_pieces(device: CudaDevice) -> None:
    array = np.random.default_rng(1).standard_normal((40, 33)).astype(np.float32)
    source, target = view_of(device, array), view_of(device, np.zeros((40, 64), np.float32))
    device.upload(array, source)
    device.copy(
        Rows(buffer=source.buffer, offset=4, pitch=33 * 4, width=30 * 4, count=40),
        Rows(buffer=target.buffer, offset=8, pitch=64 * 4, width=30 * 4, count=40),
    )
    expected = np.zeros((40, 64), np.float32)
    expected[:, 2:32] = array[:, 1:31]
    equal("pieces", device.download(target), expected)


def _whole(view: View) -> Rows:
    size = view.num_bytes
    return Rows(buffer=view.buffer, offset=view.offset, pitch=size, width=size, count=1)
