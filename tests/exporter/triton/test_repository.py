"""A model's folder in Triton's repository: whole or not there, and nothing of others lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_export.errors import OutputError, UnsupportedError
from pegasus_export.triton import repository as module
from pegasus_export.triton.repository import check_repository, check_servable, write_repository
from pegasus_runtime import BundleError
from pegasus_runtime.bundle import open_bundle


@pytest.fixture
def bundle(tiny_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle(), tmp_path / "xsum"))


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_has_configuration_backend_and_bundle(bundle: Path, tmp_path: Path) -> None:
    place = write_repository(bundle, tmp_path / "models")
    assert place == tmp_path / "models" / "xsum"
    assert os.listdir(place.parent) == ["xsum"]
    of_bundle = {f"1/bundle/{name}" for name in files_below(bundle)}
    assert files_below(place) == {"config.pbtxt", "README.md", "1/model.py", *of_bundle}
    open_bundle(place / "1" / "bundle", check_hashes=True)
    assert 'name: "xsum"' in (place / "config.pbtxt").read_text()
    backend = Path(module.__file__).with_name("model.py")
    assert (place / "1" / "model.py").read_bytes() == backend.read_bytes()


def test_the_bundle_is_on_the_disk_once(bundle: Path, tmp_path: Path) -> None:
    linked = write_repository(bundle, tmp_path / "models") / "1" / "bundle"
    for name in files_below(bundle):
        assert os.path.samefile(bundle / name, linked / name)


def test_where_files_cannot_be_linked_they_are_copied(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = write_repository(bundle, tmp_path / "models") / "1" / "bundle"
    assert not os.path.samefile(bundle / "manifest.json", copied / "manifest.json")
    open_bundle(copied, check_hashes=True)


def test_the_readme_asks_for_this_model(bundle: Path, tmp_path: Path) -> None:
    text = (write_repository(bundle, tmp_path / "models") / "README.md").read_text()
    assert "/v2/models/xsum/infer" in text
    assert "pegasus-edge[cpu]" in text
    assert "not in Triton" in text
    assert "{name}" not in text
    assert "--gpus" not in text
    limit = open_bundle(bundle).manifest.limits.max_source_tokens
    assert f"over {limit} tokens" in " ".join(text.split())


def test_a_model_that_is_there_is_replaced_by_force_alone(bundle: Path, tmp_path: Path) -> None:
    place = write_repository(bundle, tmp_path / "models")
    (place / "config.pbtxt").write_text((place / "config.pbtxt").read_text() + "# tuned\n")
    with pytest.raises(OutputError, match=r"model exists: .*xsum: choose another folder or pass"):
        write_repository(bundle, tmp_path / "models")
    assert "# tuned" in (place / "config.pbtxt").read_text()
    write_repository(bundle, tmp_path / "models", force=True)
    assert "# tuned" not in (place / "config.pbtxt").read_text()
    assert os.listdir(place.parent) == ["xsum"]


def test_a_system_that_cannot_exchange_folders_takes_two_steps(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_repository(bundle, tmp_path / "models")
    (place / "README.md").write_text("old")
    monkeypatch.setattr(module, "exchange_folders", lambda one, other: False)
    write_repository(bundle, tmp_path / "models", force=True)
    assert (place / "README.md").read_text() != "old"
    assert os.listdir(place.parent) == ["xsum"]


def test_other_models_of_the_repository_stay(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "models" / "other" / "config.pbtxt"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    write_repository(bundle, tmp_path / "models", force=True)
    assert other.read_text() == "mine"


@pytest.mark.parametrize("name", ["2/model.py", "1/bundle/mine.txt", "labels.txt"])
def test_what_somebody_put_there_is_not_deleted(bundle: Path, tmp_path: Path, name: str) -> None:
    place = write_repository(bundle, tmp_path / "models")
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_text("mine")
    with pytest.raises(OutputError, match=f"files that --triton did not write: '{name}'"):
        write_repository(bundle, tmp_path / "models", force=True)
    assert (place / name).read_text() == "mine"


def test_what_somebody_linked_there_is_not_deleted(bundle: Path, tmp_path: Path) -> None:
    place = write_repository(bundle, tmp_path / "models")
    (place / "2").symlink_to(place / "1")
    with pytest.raises(OutputError, match="files that --triton did not write: '2'"):
        write_repository(bundle, tmp_path / "models", force=True)
    assert (place / "2").is_symlink()


def test_a_model_of_somebody_else_is_not_replaced(bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "models" / "xsum" / "config.pbtxt"
    config.parent.mkdir(parents=True)
    config.write_text('name: "xsum"')
    with pytest.raises(OutputError, match=r"files that --triton did not write: 'config\.pbtxt'"):
        write_repository(bundle, tmp_path / "models", force=True)
    config.unlink()
    write_repository(bundle, tmp_path / "models", force=True)  # an empty folder is nobody's


def test_a_file_in_its_place_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "xsum").write_text("mine")
    with pytest.raises(OutputError, match="xsum is a file or a link: choose another folder"):
        write_repository(bundle, tmp_path / "models", force=True)


def test_a_link_in_its_place_is_refused(bundle: Path, tmp_path: Path) -> None:
    elsewhere = write_repository(bundle, tmp_path / "elsewhere")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "xsum").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="xsum is a file or a link: choose another folder"):
        write_repository(bundle, tmp_path / "models", force=True)
    assert os.listdir(tmp_path / "models") == ["xsum"]


@pytest.mark.parametrize("repository", [".", "xsum", "xsum/models"])
def test_it_is_not_put_over_the_bundle_or_into_it(
    bundle: Path, tmp_path: Path, repository: str
) -> None:
    before = files_below(tmp_path)
    with pytest.raises(OutputError, match="xsum would be the bundle's folder, in it, or around"):
        write_repository(bundle, tmp_path / repository, force=True)
    assert files_below(tmp_path) == before


def test_a_bundle_below_the_place_is_not_deleted(bundle: Path, tmp_path: Path) -> None:
    inner = tmp_path / "models" / "xsum" / "xsum"
    inner.parent.mkdir(parents=True)
    bundle.rename(inner)
    with pytest.raises(OutputError, match="xsum would be the bundle's folder, in it, or around"):
        write_repository(inner, tmp_path / "models", force=True)


def test_of_a_bundle_of_links_the_files_are_linked(bundle: Path, tmp_path: Path) -> None:
    store = tmp_path / "store" / "blobs"
    store.parent.mkdir()
    bundle.rename(store)
    bundle.mkdir()
    for path in store.iterdir():
        (bundle / path.name).symlink_to(Path("..", "store", "blobs", path.name))
    linked = write_repository(bundle, tmp_path / "models") / "1" / "bundle"
    open_bundle(linked, check_hashes=True)
    assert not any(path.is_symlink() for path in linked.iterdir())
    assert os.path.samefile(linked / "manifest.json", store / "manifest.json")


def test_a_failure_leaves_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(manifest: object, name: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "model_readme", fail)
    with pytest.raises(OutputError, match=r"xsum cannot be written \(No space left on device\)"):
        write_repository(bundle, tmp_path / "models")
    assert os.listdir(tmp_path / "models") == []


def test_what_a_killed_writer_left_is_cleared_away(bundle: Path, tmp_path: Path) -> None:
    left = tmp_path / "models" / f".xsum.pegasus-partial-{'0' * 16}"
    left.mkdir(parents=True)
    (left / "config.pbtxt").touch()
    write_repository(bundle, tmp_path / "models")
    assert os.listdir(tmp_path / "models") == ["xsum"]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "xsum").mkdir()
    with pytest.raises(BundleError):
        write_repository(tmp_path / "xsum", tmp_path / "models")


def test_a_name_that_is_no_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"which is 'my model': rename it to letters"):
        check_repository(tmp_path / "models", tmp_path / "my model", force=False)


@pytest.mark.parametrize(
    ("target", "task", "has_plans", "message"),
    [
        ("onnx", "summarization", True, "which does not run target onnx: use --target ort"),
        ("ort", "question-answering", True, "this bundle is for question-answering: leave it out"),
        ("trt", "summarization", False, "only graphs to build them of: build first"),
    ],
)
def test_what_the_backend_does_not_run_is_refused(
    target: str, task: str, has_plans: bool, message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_servable(target=target, task=task, has_plans=has_plans)


def test_a_task_that_is_not_known_yet_is_looked_at_later() -> None:
    check_servable(target="trt-rtx", task=None)


def test_bundles_that_cannot_be_served_are_refused(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match="only graphs"):
        write_repository(tiny_bundle(target="trt", precision="fp16"), tmp_path / "models")
    with pytest.raises(UnsupportedError, match="does not run target onnx"):
        write_repository(tiny_bundle(target="onnx"), tmp_path / "models")
    assert not (tmp_path / "models").exists()
