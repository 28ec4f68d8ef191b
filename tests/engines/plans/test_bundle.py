"""A bundle of graphs becomes one of plans."""

import errno
import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.tiny_bundle import PROFILE, manifest_of, write_tiny_bundle
from pegasus_engines.plans.bundle import fill_with_plans
from pegasus_engines.plans.tensorrt import BuildOptions
from pegasus_engines.progress import Advance
from pegasus_runtime.bundle import (
    Bundle,
    PlanSpec,
    Target,
    open_bundle,
    write_bundle,
)
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import load_flavour

OPTIONS = BuildOptions(target="trt-rtx", compute_capabilities=("8.6", "8.9"))


@pytest.fixture(autouse=True)
def _rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "graphs", manifest_of("trt-rtx"))


class Shown:
    """Progress that is kept: the stage's name and how far it came, in steps of its total."""

    def __init__(self) -> None:
        self.steps: dict[str, list[int]] = {}
        self.totals: dict[str, int | None] = {}

    @contextmanager
    def __call__(
        self, name: str, total_bytes: int | None = None, *, total_steps: int | None = None
    ) -> Iterator[Advance]:
        steps = self.steps[name] = []
        self.totals[name] = total_steps
        yield steps.append


def build(
    bundle: Bundle, output: Path, options: BuildOptions = OPTIONS, shown: Shown | None = None
) -> Bundle:
    with write_bundle(output) as staging:
        return staging.commit(fill_with_plans(bundle, staging, options, shown or Shown()))


def test_graphs_become_plans_and_what_plans_need_comes_along(
    tmp_path: Path, bundle: Bundle
) -> None:
    build(bundle, tmp_path / "plans")
    built = open_bundle(tmp_path / "plans", check_hashes=True)
    plans = {"graphs/encoder.plan", "graphs/decoder_step.plan"}
    assert set(built.manifest.files) == {"NOTICE", "spiece.model", "tables.bin"} | plans
    assert len(bundle.manifest.files) == 7
    for name, before in (("NOTICE",) * 2, ("spiece.model",) * 2, ("tables.bin", "table.bin")):
        assert built.path(name).read_bytes() == bundle.path(before).read_bytes()


def test_the_manifest_says_what_built_the_plans_and_for_what(
    tmp_path: Path, bundle: Bundle
) -> None:
    version = load_flavour("trt-rtx").version
    manifest = build(bundle, tmp_path / "plans").manifest
    assert manifest.plans == PlanSpec(
        num_beams=1,
        profiles={"encoder": (PROFILE,), "decoder_step": (PROFILE,)},
        version=version,
        compute_capabilities=("8.6", "8.9"),
    )
    assert manifest.tools == {"onnx": "1.23", "tensorrt-rtx": version}
    encoder = manifest.graphs["encoder"]
    assert encoder.file == "graphs/encoder.plan"
    assert replace(encoder, file="graphs/encoder.onnx") == bundle.manifest.graphs["encoder"]
    same = {"graphs": {}, "plans": None, "tables": {}, "tools": {}, "files": {}}
    assert replace(manifest, **same) == replace(bundle.manifest, **same)


def test_a_table_is_cut_out_of_the_weights(tmp_path: Path) -> None:
    manifest = manifest_of("trt-rtx")
    table = replace(manifest.tables["table"], file="graphs/weights.bin")
    bundle = write_tiny_bundle(tmp_path / "graphs", replace(manifest, tables={"table": table}))
    built = build(bundle, tmp_path / "plans")
    assert "graphs/weights.bin" not in built.manifest.files
    cut = built.manifest.tables["table"]
    assert cut == replace(table, file="tables.bin", offset=0)
    size = math.prod(table.shape) * np.dtype(table.dtype).itemsize
    whole = bundle.path(table.file).read_bytes()
    assert built.path("tables.bin").read_bytes() == whole[table.offset : table.offset + size]


def test_a_bundle_without_tables_gets_no_file_of_them(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "graphs", replace(manifest_of("trt-rtx"), tables={}))
    assert "tables.bin" not in build(bundle, tmp_path / "plans").manifest.files


def test_a_bundle_of_ids_has_no_tokenizer_to_keep(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "graphs", replace(manifest_of("trt-rtx"), tokenizer=None))
    assert build(bundle, tmp_path / "plans").manifest.tokenizer is None


def test_files_are_linked_where_that_is_possible(tmp_path: Path, bundle: Bundle) -> None:
    built = build(bundle, tmp_path / "plans")
    assert built.path("spiece.model").samefile(bundle.path("spiece.model"))


def test_of_a_link_the_file_is_taken(tmp_path: Path, bundle: Bundle) -> None:
    spiece = bundle.path("spiece.model")
    spiece.rename(tmp_path / "blob")
    spiece.symlink_to("../blob")
    built = build(bundle, tmp_path / "plans")
    assert not built.path("spiece.model").is_symlink()
    assert built.path("spiece.model").samefile(tmp_path / "blob")


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EINVAL, errno.EACCES])
def test_files_are_copied_where_there_are_no_links(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_link(source: Path, output: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_link)
    built = build(bundle, tmp_path / "plans")
    assert not built.path("spiece.model").samefile(bundle.path("spiece.model"))
    open_bundle(built.folder, check_hashes=True)


def test_files_are_copied_where_python_has_no_links(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "link")
    built = build(bundle, tmp_path / "plans")
    assert not built.path("spiece.model").samefile(bundle.path("spiece.model"))


def test_other_failures_of_the_file_system_are_not_hidden(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(source: Path, output: Path) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "link", full_disk)
    with pytest.raises(OSError, match="disk full"):
        build(bundle, tmp_path / "plans")
    assert not (tmp_path / "plans").exists()


def test_an_altered_file_does_not_become_a_good_one(tmp_path: Path, bundle: Bundle) -> None:
    bundle.path("spiece.model").write_bytes(b"PIECES")
    build(bundle, tmp_path / "plans")
    assert hashlib.sha256(b"pieces").hexdigest() == bundle.manifest.files["spiece.model"].sha256
    with pytest.raises(BundleError, match=r"spiece\.model: its SHA-256 differs"):
        open_bundle(tmp_path / "plans", check_hashes=True)


def test_each_graph_shows_its_progress(tmp_path: Path, bundle: Bundle) -> None:
    shown = Shown()
    build(bundle, tmp_path / "plans", shown=shown)
    assert list(shown.steps) == ["build encoder", "build decoder_step"]
    for name, steps in shown.steps.items():
        assert steps[0] == 0
        assert sum(steps) == shown.totals[name] == 100


@pytest.mark.parametrize("target", ["ort", "trt"])
def test_bundles_of_other_targets_are_refused(tmp_path: Path, target: Target) -> None:
    bundle = write_tiny_bundle(tmp_path / "graphs", manifest_of(target))
    message = (
        f"graphs: exported for target {target}, expected trt-rtx: "
        "export the checkpoint with --target trt-rtx$"
    )
    with pytest.raises(EngineError, match=message):
        build(bundle, tmp_path / "plans")


def test_plans_are_not_built_twice(tmp_path: Path, bundle: Bundle) -> None:
    built = build(bundle, tmp_path / "plans")
    message = r"holds plans of TensorRT \S+ and no graphs: export the checkpoint again, with --onnx"
    with pytest.raises(EngineError, match=message):
        build(built, tmp_path / "again")


def test_a_graph_that_is_gone_is_named(tmp_path: Path, bundle: Bundle) -> None:
    bundle.path("graphs/encoder.onnx").unlink()
    with pytest.raises(BundleError, match=r"encoder\.onnx: missing"):
        build(bundle, tmp_path / "plans")


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_the_gpu_at_hand_has_to_be_there(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="builds for the GPU at hand, and there is none"):
        build(bundle, tmp_path / "plans", BuildOptions(target="trt-rtx"))
    assert not (tmp_path / "plans").exists()
