"""Summaries from a name: a checkpoint is exported once, a bundle is fetched once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.fake_hub import COMMIT, FakeHub
from runtime.hub.hub_process import Place, names_below, read_files

TEXT = "the quick brown fox jumps over the lazy dog."
SUMMARIZE = ("-m", "pegasus_runtime.commands.summarize", "--max-length", "8", "--num-beams", "2")
NAME = "someone/tiny"


@pytest.fixture
def article(tmp_path: Path) -> str:
    path = tmp_path / "article.txt"
    path.write_text(TEXT)
    return str(path)


def test_a_checkpoint_is_exported_once_whoever_asks_and_whoever_is_killed(
    tiny_checkpoint: Callable[[], Path], article: str, tmp_path: Path
) -> None:
    with FakeHub({NAME: read_files(tiny_checkpoint())}) as hub:
        place = Place(hub.url, tmp_path)
        killed = place.start(*SUMMARIZE, NAME, article)
        assert killed.stderr is not None
        for line in killed.stderr:
            if line.startswith("trace encoder"):
                break
        killed.kill()
        killed.communicate()

        both = [place.start(*SUMMARIZE, NAME, article) for _ in range(2)]
        printed, said = zip(*(each.communicate() for each in both), strict=True)
        assert [each.returncode for each in both] == [0, 0], said
        assert printed[0] == printed[1] != ""
        told = "".join(said)
        assert told.count(f"pegasus-edge: {NAME}: exporting it in fp32, once") == 1
        assert told.count(f"pegasus-edge: {NAME}: waiting for another process that") == 1
        assert told.count(f", is in {place.cache / 'bundles'}") == 1

        asked = len(hub.paths)
        again = place.start(*SUMMARIZE, NAME, article)
        assert again.communicate() == (printed[0], "")
        assert len(hub.paths) == asked
    assert names_below(place.cache / "bundles") == ["someone--tiny@main,summarization,fp32"]
    assert names_below(place.cache / "names") == ["someone--tiny@main,summarization,fp32.json"]


def test_what_an_export_says_is_the_error(tmp_path: Path) -> None:
    with FakeHub({NAME: {"config.json": b"{}"}}) as hub:
        place = Place(hub.url, tmp_path)
        child = place.start(*SUMMARIZE, NAME, "-")
        printed, said = child.communicate("")
    assert (child.returncode, printed) == (2, "")
    last = said.splitlines()[-1]
    assert last.startswith("pegasus-summarize: error: ")
    assert "config.json has no model_type" in last or "config.json" in last
    assert names_below(place.cache / "bundles") == []


LOAD = """
import sys
from pegasus_runtime import PegasusError, Summarizer

def load(name, **options):
    try:
        with Summarizer.load(name, provider="cpu", **options) as summarizer:
            return summarizer.summarize(given["text"]).text
    except PegasusError as err:
        return f"{type(err).__name__}: {err}"

answers = [load(name, **options) for name, options in given["loads"]]
loaded = sorted({"torch", "pegasus_export", "onnx"} & set(sys.modules))
print(json.dumps([answers, loaded]))
"""


@pytest.fixture
def hub(tiny_bundle: Callable[..., Path]) -> Iterator[FakeHub]:
    files = read_files(tiny_bundle())
    repositories = {
        NAME: files | {"README.md": b"a card"},
        "someone/cut": files | {"weights.bin": b"too short"},
        "someone/other": {"manifest.json": b'{"name": "an app", "schema_version": 1}'},
        "someone/secret": files,
    }
    with FakeHub(repositories, gated=frozenset({"someone/secret"})) as hub:
        yield hub


def test_a_bundle_of_a_hub_is_fetched_once_and_needs_the_runtime_alone(
    hub: FakeHub, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    place = Place(hub.url, tmp_path)
    loads = [
        (str(tiny_bundle()), {}),
        (NAME, {}),
        (NAME, {"precision": "fp32"}),
        (f"{hub.url}/{NAME}/tree/main", {}),
        (f"hf://{NAME}", {"revision": COMMIT}),
    ]
    answers, loaded = place.ask(LOAD, text=TEXT, loads=loads)
    assert len(set(answers)) == 1
    assert ":" not in answers[0]
    assert loaded == []
    assert sorted(hub.fetched) == sorted(set(read_files(tiny_bundle())))  # and not its card


def test_what_is_wrong_with_a_name_is_said_in_one_line(hub: FakeHub, tmp_path: Path) -> None:
    place = Place(hub.url, tmp_path)
    (tmp_path / "build").mkdir()
    loads = [
        (NAME, {"precision": "int8"}),
        (NAME, {"revision": "v9"}),
        ("someone/cut", {}),
        ("someone/secret", {}),
        ("someone/nothing", {}),
        ("build/tiny", {}),
        ("tiny", {}),
        ("tiny", {"revision": "main"}),
        ("tiny[1", {}),
        ("\u2100/tiny", {}),
        ("a--b/tiny", {}),
        (NAME, {"revision": 5}),
        (NAME, {"revision": "a\0b"}),
        (f"hf://{NAME}@a%00b", {}),
        (NAME, {"precision": 8}),
        ("someone/nothing", {"precision": ""}),
        ("s3://bucket/tiny", {}),
        (f"{hub.url}/{NAME}/tree/main", {"revision": "v2"}),
    ]
    answers, _ = place.ask(LOAD, text=TEXT, loads=loads)
    for answer, expected in zip(
        answers,
        [
            f"OptionsError: {NAME} is a bundle in fp32, precision is 'int8': leave it out",
            f"BundleError: {NAME} has no revision v9 on {hub.url}: give a branch",
            "/weights.bin: has 9 bytes, expected ",
            "BundleError: someone/secret is gated on ",
            "BundleError: someone/nothing is neither a folder here nor a repository that you may",
            "BundleError: not a bundle: build/tiny is not a folder",
            "BundleError: not a bundle: tiny is not a folder",
            "OptionsError: tiny is a folder, got revision main: leave the revision out",
            "BundleError: not a bundle: tiny[1 is not a folder",
            "BundleError: not a bundle: \u2100/tiny is not a folder",
            "BundleError: not a bundle: a--b/tiny is not a folder",
            "OptionsError: revision is 5, expected a branch, a tag or a commit",
            "OptionsError: revision is 'a\\x00b', expected a branch, a tag or a commit",
            "OptionsError: revision is 'a\\x00b', expected a branch, a tag or a commit",
            "OptionsError: precision is 8, expected one such as 'int8'",
            "OptionsError: precision is '', expected one such as 'int8'",
            "OptionsError: s3://bucket/tiny is an address that is no model's on the hub",
            "names revision main, got v2: give one",
        ],
        strict=True,
    ):
        assert expected in answer
        assert "\n" not in answer


def test_what_is_not_installed_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    without = "import sys\nfrom importlib import util\nfind = util.find_spec\n"
    without += "util.find_spec = lambda name: None if name == 'torch' else find(name)\n"
    loads = [("someone/other", {})]
    ((no_torch,), _) = Place(hub.url, tmp_path).ask(without + LOAD, text=TEXT, loads=loads)
    assert no_torch == (
        "BundleError: someone/other is a checkpoint, which is to be exported once, and torch is "
        "not installed: pip install 'pegasus-edge[export,cpu]', or load a bundle that was made "
        "elsewhere"
    )
    offline = "import os\nos.environ['HF_HUB_OFFLINE'] = '1'\n"
    ((unknown,), _) = Place(hub.url, tmp_path / "x").ask(
        offline + without + LOAD, text=TEXT, loads=loads
    )
    assert unknown == (
        "BundleError: someone/other is not complete in the cache and HF_HUB_OFFLINE is set: unset "
        "it, or give a local folder"
    )
    without = "import sys\nsys.modules['huggingface_hub'] = None\n"
    ((no_hub,), _) = Place(hub.url, tmp_path).ask(without + LOAD, text=TEXT, loads=loads)
    assert no_hub == (
        "BundleError: someone/other is not a folder, and to load it from a hub needs "
        "huggingface_hub: pip install 'pegasus-edge[hub]' for a bundle that is ready, or "
        "'pegasus-edge[export,cpu]' for a checkpoint"
    )
