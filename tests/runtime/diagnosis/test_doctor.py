"""pegasus-edge doctor: what is here, and what is missing."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime import __version__
from pegasus_runtime.commands.doctor import main
from pegasus_runtime.diagnosis.engines import find_onnxruntime
from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.diagnosis.gpus import find_gpus
from pegasus_runtime.diagnosis.targets import find_targets


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path / "cache"))


def test_it_says_what_is_here_and_what_can_be_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@hub.example")
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for expected in (
        f"pegasus-edge      {__version__}\n",
        f"Python            {'.'.join(map(str, sys.version_info[:3]))} in ",
        "  numpy ",
        "+ ONNX Runtime ",
        "+ run ort (CPU)  ready\n",
        "  NVIDIA driver  ",
        "~/cache, ",
        "HF_ENDPOINT  hub.example\n",
    ):
        assert expected in printed
    assert "secret" not in printed
    assert str(tmp_path) not in printed


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["system", "packages", "GPUs", "engines", "cache", "targets"]
    assert found["system"][0] == {
        "name": "pegasus-edge",
        "value": __version__,
        "is_fine": None,
        "advice": "",
    }


def test_without_an_engine_nothing_can_be_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pegasus_runtime.native.ort import import_onnxruntime

    import_onnxruntime.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    try:
        assert find_onnxruntime().is_fine is False
        assert main(["doctor"]) == 1
    finally:
        import_onnxruntime.cache_clear()
    assert "run ort (CPU)  not here: pip install 'pegasus-edge[cpu]'" in capsys.readouterr().out


class Driver:
    """A driver with one GPU, for CUDA 12.8."""

    status = 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = 12080
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 1
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> int:  # noqa: N802
        name.value = b"NVIDIA Thing"
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: ctypes.c_int) -> int:  # noqa: N802
        size._obj.value = 3 * 2**30
        return 0

    def cuDeviceGetAttribute(  # noqa: N802
        self, value: Any, attribute: int, device: ctypes.c_int
    ) -> int:
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


def test_a_gpu_is_described_by_its_driver() -> None:
    driver, gpu = find_gpus(Driver())[-2:]
    assert driver.value.endswith("for CUDA 12.8")
    assert gpu == Finding(name="GPU 0", value="NVIDIA Thing, SM 8.9, 3.0 GiB")


def test_a_driver_that_does_not_start_says_its_code() -> None:
    driver = Driver()
    driver.status = 100
    last = find_gpus(driver)[-1]
    assert last.value == "the driver does not start (CUDA error 100)"
    assert last.is_fine is False


def test_each_target_says_what_it_needs() -> None:
    missing = Finding(name="x", value="", is_fine=False)
    there = Finding(name="x", value="1.31.1: CUDA, CPU", is_fine=True)
    none = dict.fromkeys(("ort", "trt", "trt-rtx", "cuda"), missing)
    needs = {each.name: each.advice for each in find_targets(none, [])}
    assert needs["run trt-rtx"] == (
        "pip install 'pegasus-edge[rtx]' (CUDA 12: [rtx-cu12]); an NVIDIA GPU"
    )
    gpus = [Finding(name="GPU 0", value="")]
    whole = dict.fromkeys(("ort", "trt", "trt-rtx", "cuda"), there)
    assert {each.name for each in find_targets(whole, gpus) if each.is_fine} >= {
        "run ort (CPU)",
        "run ort (GPU)",
        "run trt",
        "run trt-rtx",
    }
