"""An export on a system that moves no folder with an open or a mapped file in it."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import pytest

from as_windows import act_as_windows, files_in_use
from pegasus_export.errors import OutputError
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages import build as build_module
from pegasus_export.stages import restore_layers as restore_layers_module
from pegasus_export.stages.export import export_bundle
from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import when_free as when_free_module

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="what a process has mapped is read of /proc"
)


@pytest.mark.parametrize(("target", "precision"), [("ort", "int8"), ("onnx", "fp32")])
def test_an_export_lets_go_of_all_its_files_before_they_move(
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    precision: str,
) -> None:
    act_as_windows(monkeypatch)
    monkeypatch.setattr(when_free_module, "_FOR_S", 0.0)
    monkeypatch.setattr(build_module, "_DELETES_WHAT_IS_MAPPED", False)
    monkeypatch.setattr(restore_layers_module, "LAYER_LIMITS", {"int8": 0.0})  # built twice
    request = ExportRequest(
        model=str(tiny_checkpoint()),
        output=tmp_path / "bundle",
        target=target,
        precision=precision,
        force=True,
    )
    for _ in range(2):  # the second replaces the first
        export_bundle(request)
        assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_bundle_that_is_in_use_stays_and_the_error_says_so(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ExportRequest(model=str(tiny_checkpoint()), output=tmp_path / "bundle", force=True)
    export_bundle(request)
    act_as_windows(monkeypatch)
    monkeypatch.setattr(when_free_module, "_FOR_S", 0.0)
    with (
        (tmp_path / "bundle" / "weights.bin").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
    ):
        assert files_in_use(tmp_path / "bundle")
        with pytest.raises(OutputError, match="bundle cannot be written \\(a program has it open"):
            export_bundle(request)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    Summarizer.load(tmp_path / "bundle", provider="cpu").close()
