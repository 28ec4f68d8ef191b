"""Bundles uploaded to a hub, and the cache of those that were loaded by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.fake_hub import FakeHub
from pegasus_export.clients.card import model_card
from pegasus_export.command.main import main
from pegasus_runtime.bundle import Source, open_bundle, parse_manifest
from runtime.hub.hub_process import Place, read_files

PUSH = """
import contextlib, io, os
from pegasus_export.command.main import main
answers = []
for token, arguments in given["calls"]:
    os.environ["HF_TOKEN"] = token
    said, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
        try:
            code = main(arguments)
        except SystemExit as err:
            code = err.code
    answers.append([code, said.getvalue() + printed.getvalue()])
print(json.dumps(answers))
"""

FETCH = """
import huggingface_hub
print(json.dumps(huggingface_hub.snapshot_download("me/other")))
"""


def test_a_bundle_is_uploaded_in_one_commit_and_loads_by_its_name(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    folder, for_others = tiny_bundle(), tiny_bundle(target="onnx")
    mine = {"README.md": b"mine"}
    given = {"me/own": mine, "me/mine": mine, "me/other": {"a.txt": b"a"}}
    with FakeHub({name: dict(files) for name, files in given.items()}) as hub:
        place = Place(hub.url, tmp_path)
        push = ["--output", str(folder), "--push"]
        calls = [
            ("may-write", [*push, "me/tiny"]),
            ("may-not", [*push, "me/tiny"]),
            ("may-write", [*push, "me/own"]),
            ("may-write", ["--output", str(for_others), "--push", "me/js"]),
            ("may-write", ["--output", str(for_others), "--push", "me/mine"]),
            ("may-write", [*push, "tiny"]),
            ("may-write", ["--list-cache", "--json"]),
        ]
        pushed, refused, kept, others, others_kept, no_name, listed = place.ask(PUSH, calls=calls)
        article = tmp_path / "article.txt"
        article.write_text("the quick brown fox")
        place.ask(FETCH)  # of the same commit, as it happens
        child = place.start("-m", "pegasus_runtime.commands.summarize", "me/tiny", str(article))
        printed, said = child.communicate()
        assert child.returncode == 0, said
        assert printed
        cache = [
            ("", ["--list-cache"]),
            ("", ["--clear-cache", "me/tin"]),
            ("", ["--clear-cache"]),
            ("", ["--clear-cache"]),
        ]
        shown, misspelled, cleared, nothing = place.ask(PUSH, calls=cache)
    assert pushed == [0, f"pegasus-export: {folder}: uploaded to {hub.url}/me/tiny\n"]
    files = read_files(folder)
    assert hub.repositories["me/tiny"] == files | {
        "README.md": hub.repositories["me/tiny"]["README.md"]
    }
    assert hub.messages[0] == "A bundle of pegasus-edge: summarization, ort, fp32"
    assert refused[0] == 2
    assert "me/tiny cannot be written (status 401): run `hf auth login` with a" in refused[1]
    assert kept[0] == 0
    assert hub.repositories["me/own"] == files | {"README.md": b"mine"}
    assert (others[0], others_kept[0]) == (0, 0)
    for name, card in (("me/js", b"\n# js\n"), ("me/mine", b"mine")):
        uploaded = dict(hub.repositories[name])
        assert card in uploaded.pop("README.md")
        manifest = parse_manifest(uploaded.pop("manifest.json").decode())
        assert manifest.files.keys() == uploaded.keys()
        assert uploaded.items() <= read_files(for_others).items()
    assert no_name[0] == 2
    assert "--push is 'tiny', expected a repository of the hub, such as me/xsum" in no_name[1]
    assert listed[0] == 0
    assert json.loads(listed[1]) == {"cache": str(place.cache), "bundles": []}

    assert shown[0] == 0
    assert shown[1].startswith(
        f"{place.cache}: 1 bundle\nme/tiny  summarization  fp32  downloaded  "
    )
    assert misspelled[0] == 2
    assert f"which is not in {place.cache}: did you mean me/tiny?: see --list" in misspelled[1]
    assert cleared[0] == 0
    assert cleared[1].startswith("me/tiny, fp32: deleted, ")
    assert not list((tmp_path / "hf").rglob("weights.bin"))
    assert list((tmp_path / "hf").rglob("a.txt"))
    assert nothing == [0, f"{place.cache}: nothing to delete\n"]


def test_a_card_says_what_the_hub_asks_and_how_to_use_the_bundle(
    tiny_bundle: Callable[..., Path],
) -> None:
    manifest = open_bundle(tiny_bundle()).manifest
    card = model_card(manifest, "me/tiny")
    assert card.startswith("---\nlibrary_name: pegasus-edge\npipeline_tag: summarization\n")
    assert "base_model" not in card  # a folder's path is nobody's business
    assert manifest.source.name not in card
    assert "$ pegasus-summarize me/tiny article.txt\n" in card
    assert "| encoder | " in card
    published = replace(manifest, source=Source(name="google/pegasus-xsum", sha256="0" * 64))
    assert "base_model: google/pegasus-xsum\n" in model_card(published, "me/tiny")
    odd = replace(manifest, verification={"encoder": {"error": "small", "tolerance": None}})
    assert "| encoder |" not in model_card(odd, "me/tiny")
    assert "## Use" not in model_card(replace(manifest, target="trt"), "me/tiny")


@pytest.mark.parametrize(
    ("architecture", "loader"),
    [
        ("PegasusForConditionalGeneration", "ORTModelForSeq2SeqLM"),
        ("PegasusForCausalLM", "ORTModelForCausalLM"),
        ("PegasusModel", None),
    ],
)
def test_a_bundle_for_others_has_a_card_that_says_who_loads_it(
    architecture: str, loader: str | None, tiny_bundle: Callable[..., Path]
) -> None:
    folder = tiny_bundle(architecture, "onnx")
    card = (folder / "README.md").read_text()
    manifest = open_bundle(folder).manifest
    assert card.startswith("---\nlibrary_name: pegasus-edge\n")
    assert f"\n# {folder.name}\n" in card
    assert "`contract.md` has every tensor" in card
    loads = f'{loader}.from_pretrained("{folder.name}")'
    assert (loads in card) == (loader is not None)
    assert "pegasus-summarize" not in card
    in_browsers = {
        name: replace(graph, file=f"onnx/{graph.file}") for name, graph in manifest.graphs.items()
    }
    js = model_card(replace(manifest, graphs=in_browsers), "me/tiny")
    assert 'await pipeline("summarization", "me/tiny")' in js


def test_an_upload_needs_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--push", "me/tiny", "--output", str(tmp_path)]) == 2
    assert "not a bundle: " in capsys.readouterr().err


def test_a_record_of_a_folder_that_is_gone_is_listed_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pegasus_runtime.hub.entry import Entry, Record

    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path))
    Entry(name="a/b", revision="v1").write(
        Record(
            name="a/b",
            revision="v1",
            made="downloaded",
            task="summarization",
            precision="int8",
            commit="0",
            folder=str(tmp_path / "gone"),
        )
    )
    assert main(["--list-cache"]) == 0
    assert "a/b@v1  summarization  int8  downloaded, gone since  0 B\n" in capsys.readouterr().out


CLEAR = """
import os, shutil
from pathlib import Path
from pegasus_runtime.hub.clear_entry import clear_entry
from pegasus_runtime.hub.entry import list_records
from pegasus_runtime.hub.find_bundle import find_bundle

def clear(name):
    ((entry, record),) = [each for each in list_records() if each[1].name == name]
    return clear_entry(entry, record)

folders = {name: find_bundle(name, "summarization") for name in given["names"]}
freed, there = [], []
for name in given["names"][:-1]:
    freed.append(clear(name))
    there.append([each for each, folder in folders.items() if folder.is_dir()])
shutil.rmtree(Path(os.environ["HF_HOME"]) / "hub")
freed.append(clear(given["names"][-1]))
print(json.dumps([freed, there, len(list_records())]))
"""


def test_what_is_cleared_is_of_that_name_alone(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Copies of a repository have the same commits."""
    files = read_files(tiny_bundle())
    names = ["me/one", "me/two", "me/three", "me/four"]
    with FakeHub(dict.fromkeys(names, files)) as hub:
        freed, there, left = Place(hub.url, tmp_path).ask(CLEAR, names=names)
    assert there == [names[1:], names[2:], names[3:]]
    assert freed == [sum(map(len, files.values()))] * 3 + [0]  # the last by hand
    assert left == 0
