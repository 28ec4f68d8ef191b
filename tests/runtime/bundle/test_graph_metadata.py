"""What a graph says of its network, against the manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.bundle import Manifest, check_graph_metadata, graph_metadata
from pegasus_runtime.errors import BundleError

BIGBIRD = "BigBirdPegasusForConditionalGeneration"
PATH = Path("encoder.onnx")


def test_the_same_is_taken(manifest: Manifest) -> None:
    facts = manifest.architecture
    check_graph_metadata(PATH, graph_metadata(facts), facts)


@pytest.mark.parametrize(
    "change", [{"block_size": 128}, {"num_random_blocks": 2}, {"random_blocks": "seeded"}]
)
def test_another_network_is_refused(manifest: Manifest, change: dict[str, object]) -> None:
    facts = manifest.architecture
    (name, value) = next(iter(change.items()))
    other = replace(facts, **change)  # type: ignore[arg-type]
    message = rf"architecture\.{name}: got {value!r}, where encoder\.onnx has .*: export the"
    with pytest.raises(BundleError, match=message):
        check_graph_metadata(PATH, graph_metadata(facts), other)


def test_what_earlier_and_later_versions_leave_out_or_add_is_no_matter(manifest: Manifest) -> None:
    facts = manifest.architecture
    check_graph_metadata(PATH, {}, facts)
    (key, text) = next(iter(graph_metadata(facts).items()))
    said = json.loads(text) | {"more": 1}
    said.pop("block_size")
    check_graph_metadata(PATH, {key: json.dumps(said)}, facts)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_what_is_no_object_is_damage(manifest: Manifest, text: str) -> None:
    (key,) = graph_metadata(manifest.architecture)
    with pytest.raises(BundleError, match=r"encoder\.onnx: metadata .* is no JSON object: copy"):
        check_graph_metadata(PATH, {key: text}, manifest.architecture)


@pytest.mark.parametrize("target", ["ort", "trt-rtx"])
def test_every_graph_of_a_bundle_says_it(
    tiny_bundle: Callable[..., Path], tmp_path: Path, target: str
) -> None:
    """A manifest with other blocks, which padding goes by, is refused."""
    bundle = tiny_bundle(BIGBIRD, target)
    for path in bundle.glob("*.onnx"):
        model = onnx.load_model(path, load_external_data=False)
        found = {each.key: each.value for each in model.metadata_props}
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        assert json.loads(found["pegasus_edge.architecture"]) == manifest["architecture"]
    copied = shutil.copytree(bundle, tmp_path / "copy")
    manifest["architecture"]["num_random_blocks"] += 1
    (copied / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(PegasusError, match=r"architecture\.num_random_blocks: got "):
        Summarizer.load(copied, threads=1, provider="cpu")


def test_text_that_is_not_utf_8_is_damage(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    copied = shutil.copytree(tiny_bundle(BIGBIRD), tmp_path / "copy")
    path = copied / "encoder.onnx"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pegasus_edge.architecture", b"pegasus_edge.architectur\xfb"))
    with pytest.raises(BundleError, match=r"encoder\.onnx: has text that is not UTF-8: copy the"):
        Summarizer.load(copied, threads=1)
