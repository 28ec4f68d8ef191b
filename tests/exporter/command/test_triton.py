"""pegasus-export --triton: of a bundle that is there, and of one that is made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_export.command.main import main


def test_a_bundle_that_is_there_becomes_a_model(
    tiny_bundle: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(tiny_bundle(), tmp_path / "xsum")
    arguments = ["--output", str(bundle), "--triton", str(tmp_path / "models")]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert said == (
        f"pegasus-export: {bundle}: a model for Triton is at {tmp_path / 'models' / 'xsum'}\n"
    )
    assert (tmp_path / "models" / "xsum" / "1" / "model.py").is_file()
    assert main(arguments) == 2
    assert "model exists" in capsys.readouterr().err
    assert main([*arguments, "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_an_export_brings_the_model_along(
    tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint("PegasusForConditionalGeneration")
    output, models = tmp_path / "tiny", tmp_path / "models"
    words = ["--model", str(checkpoint), "--output", str(output), "--triton", str(models)]
    assert main([*words, "--quiet"]) == 0
    assert (models / "tiny" / "1" / "bundle" / "manifest.json").samefile(output / "manifest.json")


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("PegasusForConditionalGeneration", ["--target", "onnx"], "does not run target onnx"),
        ("PegasusForConditionalGeneration", ["--task", "feature-extraction"], "is for feature-ext"),
        ("PegasusForCausalLM", [], "this bundle is for text-generation"),
        (
            "PegasusForConditionalGeneration",
            ["--target", "trt", "--precision", "fp16", "--onnx-only"],
            "only graphs to build them of",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_before_the_export(
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    architecture: str,
    arguments: list[str],
    message: str,
) -> None:
    words = ["--model", str(tiny_checkpoint(architecture)), "--output", str(tmp_path / "x")]
    assert main([*words, "--triton", str(tmp_path / "models"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_there_is_refused_before_the_export(
    tiny_checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models" / "x").mkdir(parents=True)
    checkpoint = tiny_checkpoint("PegasusForConditionalGeneration")
    words = ["--model", str(checkpoint), "--output", str(tmp_path / "x")]
    assert main([*words, "--triton", str(tmp_path / "models")]) == 2
    assert "model exists" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_cache_has_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--list-cache", "--triton", "models"])
    assert "do nothing else: leave out the rest" in capsys.readouterr().err
