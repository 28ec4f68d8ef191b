"""The demo: a model and an article of its own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pegasus_runtime
from pegasus_runtime.commands.summarize import main
from pegasus_runtime.hub.demo_bundle import ARTICLE, DEMO_NAME
from pegasus_runtime.hub.entry import Entry, Record


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path / "cache"))


def test_the_demo_says_what_it_summarises(
    tiny_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = Entry(name=DEMO_NAME, revision="clone", task="summarization", precision="fp32")
    entry.write(
        Record(
            name=DEMO_NAME,
            revision="clone",
            made="exported",
            task="summarization",
            precision="fp32",
            commit=None,
            folder=str(tiny_bundle()),
        )
    )
    assert main(["--demo", "--json", "--max-length", "8", "--truncate"]) == 0
    printed, said = capsys.readouterr()
    assert json.loads(printed)["file"] == "demo"
    assert said.startswith(f"pegasus-summarize: the article: {ARTICLE}\n")


def test_the_demo_of_a_wheel_says_where_its_model_is_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pegasus_runtime, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pegasus-edge").mkdir()  # a clone
    assert main(["--demo"]) == 2
    said = capsys.readouterr().err
    assert "the demo's model is neither in examples/checkpoints/pegasus-mini, as in a clone" in said
    assert f"by name ({DEMO_NAME} is not a folder" in said
    assert said.endswith("): run this in a clone, or name a bundle\n")


@pytest.mark.parametrize("arguments", [["--demo", "bundle"], ["--demo", "bundle", "a.txt"]])
def test_the_demo_takes_no_other_model(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--demo has a model and an article of its own, expected no BUNDLE" in (
        capsys.readouterr().err
    )
