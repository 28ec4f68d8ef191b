"""A bundle of links, as in a hub's cache, does what the bundle does."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime import EngineError, GenerationOptions, Summarizer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")

TEXT = "the quick brown fox jumps over the lazy dog."
OPTIONS = GenerationOptions(max_length=8, num_beams=2)


@pytest.fixture
def snapshot(tiny_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    """Links by name to files by hash, beside each other."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(tiny_bundle().iterdir())):
        shutil.copyfile(file, blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    return snapshot


@pytest.mark.parametrize("check_hashes", [False, True])
def test_a_bundle_of_links_gives_the_same_summary(
    tiny_bundle: Callable[..., Path], snapshot: Path, check_hashes: bool
) -> None:
    with Summarizer.load(tiny_bundle(), provider="cpu") as summarizer:
        expected = summarizer.summarize(TEXT, OPTIONS)
    with Summarizer.load(snapshot, provider="cpu", check_hashes=check_hashes) as summarizer:
        assert summarizer.summarize(TEXT, OPTIONS) == expected


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="says what is mapped, on Linux")
def test_weights_behind_links_are_mapped_not_read(snapshot: Path) -> None:
    weights = (snapshot / "weights.bin").resolve()
    with Summarizer.load(snapshot, provider="cpu"):
        assert str(weights) in Path("/proc/self/maps").read_text()


def test_links_to_different_folders_are_reported(
    tiny_bundle: Callable[..., Path], snapshot: Path, tmp_path: Path
) -> None:
    """ONNX Runtime, from 1.24 on, takes weights from the graph's folder alone."""
    (snapshot / "weights.bin").unlink()
    (snapshot / "weights.bin").symlink_to(tiny_bundle() / "weights.bin")
    try:
        Summarizer.load(snapshot, provider="cpu").close()
    except EngineError as err:
        assert str(err).endswith(  # noqa: PT017 - older versions load it
            ": its files are links to different folders: link all to one, or copy the bundle"
        )
