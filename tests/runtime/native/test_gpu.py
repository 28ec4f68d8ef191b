"""The GPU at hand, as a driver that is faked tells it."""

from typing import Any

import pytest

from pegasus_runtime.native.gpu import current_capability


class Driver:
    """Two functions of the CUDA driver; `failing` is the one that returns an error."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def cuInit(self, flags: int) -> int:  # noqa: N802  the driver's names
        return int(self.failing == "cuInit")

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        return int(self.failing == "cuDeviceGet")

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 12, 76: 1}[attribute]
        return int(self.failing == "cuDeviceGetAttribute")


def test_the_capability_is_major_and_minor() -> None:
    assert current_capability(Driver()) == "12.1"


@pytest.mark.parametrize("failing", ["cuInit", "cuDeviceGet", "cuDeviceGetAttribute"])
def test_a_driver_that_fails_has_no_gpu(failing: str) -> None:
    assert current_capability(Driver(failing)) is None


def test_a_machine_has_a_gpu_or_none() -> None:
    found = current_capability()
    assert found is None or float(found) > 1
