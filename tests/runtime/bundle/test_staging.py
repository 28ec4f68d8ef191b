"""A bundle is written all or nothing, whatever interrupts it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import pegasus_runtime.bundle.staging as staging_module
from pegasus_runtime.bundle import (
    BundleWriter,
    Manifest,
    open_bundle,
    read_held,
    write_bundle,
)
from pegasus_runtime.errors import BundleError

on_posix = pytest.mark.skipif(os.name == "nt", reason="processes are not looked up on Windows")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "exports" / "xsum"


def fill(staging: BundleWriter, contents: Mapping[str, bytes]) -> None:
    for name, data in contents.items():
        (staging.path / name).parent.mkdir(exist_ok=True)
        (staging.path / name).write_bytes(data)


def export(
    output: Path, manifest: Manifest, contents: Mapping[str, bytes], *, force: bool = False
) -> None:
    with write_bundle(output, force=force) as staging:
        fill(staging, contents)
        staging.commit(manifest)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_committed_bundle_opens_with_the_files_recorded(
    output: Path, bare_manifest: Manifest, manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        bundle = staging.commit(bare_manifest)
    assert bundle == open_bundle(output, check_hashes=True)
    assert bundle.manifest == manifest
    assert list(output.parent.iterdir()) == [output]


def test_nothing_that_loads_exists_before_the_commit(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        assert staging.path.name.startswith(".xsum.pegasus-partial-")
        assert staging.path.parent == output.parent
        bundle = staging.preview(bare_manifest)
        assert bundle.path("encoder.onnx").read_bytes() == b"encoder"
        assert not output.exists()
        with pytest.raises(BundleError, match="not a bundle"):
            open_bundle(staging.path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_bundle_has_the_permissions_of_any_new_folder(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    export(output, bare_manifest, contents)
    (output.parent / "plain").mkdir()
    assert output.stat().st_mode == (output.parent / "plain").stat().st_mode


@pytest.mark.parametrize(
    "failure",
    [ValueError("bug"), KeyboardInterrupt(), SystemExit(143), OSError(errno.ENOSPC, "disk full")],
)
def test_any_failure_passes_through_and_leaves_nothing(
    output: Path, contents: Mapping[str, bytes], failure: BaseException
) -> None:
    def fail() -> None:
        with write_bundle(output) as staging:
            fill(staging, contents)
            raise failure

    with pytest.raises(type(failure)) as caught:
        fail()
    assert caught.value is failure
    assert list(output.parent.iterdir()) == []


def test_a_block_left_without_commit_leaves_nothing(
    output: Path, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
    assert list(output.parent.iterdir()) == []


def test_a_manifest_that_could_not_be_read_back_leaves_nothing(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with pytest.raises(BundleError, match="precision: got "):
        export(output, replace(bare_manifest, precision=""), contents)
    assert list(output.parent.iterdir()) == []


def test_a_graph_that_was_not_written_fails_the_commit(
    output: Path, bare_manifest: Manifest
) -> None:
    with pytest.raises(BundleError, match=r"graphs\.encoder\.file: 'encoder\.onnx' is not listed"):
        export(output, bare_manifest, {"spiece.model": b"pieces"})
    assert list(output.parent.iterdir()) == []


def test_a_disk_that_fills_up_at_the_end_leaves_nothing(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left on device"):
        export(output, bare_manifest, contents)
    assert list(output.parent.iterdir()) == []


def test_a_folder_that_cannot_be_synced_is_no_failure(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    export(output, bare_manifest, contents)
    open_bundle(output, check_hashes=True)


def test_a_second_commit_is_refused(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        staging.commit(bare_manifest)
        with pytest.raises(BundleError, match="xsum: already written: commit once"):
            staging.commit(bare_manifest)
    open_bundle(output, check_hashes=True)


def test_a_recorded_hash_is_taken_over_until_the_file_changes(
    output: Path, bare_manifest: Manifest, manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        staging.record("encoder.onnx", sha256="a" * 64)
        staging.record("spiece.model", sha256="b" * 64)
        (staging.path / "spiece.model").write_bytes(b"other")
        files = staging.preview(bare_manifest).manifest.files
        assert files["encoder.onnx"].sha256 == "a" * 64
        assert files["spiece.model"].sha256 not in ("b" * 64, manifest.files["spiece.model"].sha256)
        (staging.path / "spiece.model").write_bytes(b"pieces")
        os.utime(staging.path / "spiece.model", ns=(1, 1))
        assert (
            staging.preview(bare_manifest).manifest.files["spiece.model"]
            == (manifest.files["spiece.model"])
        )


def test_a_hash_of_a_missing_file_is_refused(output: Path) -> None:
    with write_bundle(output) as staging:
        message = r"encoder\.onnx: not in .*: write the file, then record it"
        with pytest.raises(BundleError, match=message):
            staging.record("encoder.onnx", sha256="a" * 64)


def test_the_manifest_is_left_to_commit(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: written by commit alone: remove the"):
        export(output, bare_manifest, {**contents, "manifest.json": b"{}"})


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
@pytest.mark.parametrize("target", ["encoder.onnx", "weights"])
def test_links_do_not_get_into_a_bundle(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes], target: str
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        (staging.path / "link").symlink_to(target)
        with pytest.raises(BundleError, match="link: a bundle holds regular files only: copy"):
            staging.commit(bare_manifest)


def test_an_existing_output_is_refused_before_any_work(output: Path) -> None:
    output.mkdir(parents=True)
    message = "output folder exists: .*xsum: choose another or pass --force"
    with pytest.raises(BundleError, match=message), write_bundle(output):
        pytest.fail("entered")
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(output: Path, force: bool) -> None:
    output.parent.mkdir()
    output.write_text("precious")
    with (
        pytest.raises(BundleError, match=r"output is a file: .*: choose another"),
        write_bundle(output, force=force),
    ):
        pytest.fail("entered")
    assert output.read_text() == "precious"


@pytest.mark.parametrize(
    "manifest_text",
    [None, "", "not json", "[1]", '{"manifest_version": 3, "files": {}}', "[" * 100_000],
)
def test_force_never_replaces_what_is_not_a_bundle(output: Path, manifest_text: str | None) -> None:
    output.mkdir(parents=True)
    (output / "thesis.tex").write_text("precious")
    if manifest_text is not None:
        (output / "manifest.json").write_text(manifest_text)
    before = tree(output.parent)
    message = "output folder is not a bundle: .*: --force replaces bundles only; choose another"
    with pytest.raises(BundleError, match=message), write_bundle(output, force=True):
        pytest.fail("entered")
    assert tree(output.parent) == before


def test_a_manifest_larger_than_any_is_not_read_to_tell_that(output: Path) -> None:
    output.mkdir(parents=True)
    with (output / "manifest.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match="is not a bundle"), write_bundle(output, force=True):
        pytest.fail("entered")


def test_a_folder_without_a_name_is_refused() -> None:
    with (
        pytest.raises(BundleError, match=r"output .* is no folder that could be written: choose"),
        write_bundle(Path("/"), force=True),
    ):
        pytest.fail("entered")


def test_force_replaces_a_bundle_of_any_schema_version_and_its_leftovers(
    output: Path, bare_manifest: Manifest, manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    export(output, bare_manifest, {**contents, "old.bin": b"old"})
    old = json.loads((output / "manifest.json").read_text()) | {"schema_version": 99}
    (output / "manifest.json").write_text(json.dumps(old))
    export(output, bare_manifest, contents, force=True)
    assert open_bundle(output, check_hashes=True).manifest == manifest
    assert not (output / "old.bin").exists()
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt"])
def test_force_does_not_delete_what_is_not_the_bundles(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes], name: str
) -> None:
    export(output, bare_manifest, contents)
    (output / ".DS_Store").write_bytes(b"of a file manager")
    export(output, bare_manifest, contents, force=True)
    (output / name).parent.mkdir(exist_ok=True)
    (output / name).write_text("mine")
    before = tree(output.parent)
    message = f"has files that are not of its bundle: .*{name}': --force would delete it: move what"
    with pytest.raises(BundleError, match=message):
        export(output, bare_manifest, contents, force=True)
    assert tree(output.parent) == before


def test_a_system_that_cannot_exchange_folders_takes_two_steps(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export(output, bare_manifest, contents)
    monkeypatch.setattr(staging_module, "exchange_folders", lambda one, other: False)
    export(output, replace(bare_manifest, precision="newer"), contents, force=True)
    assert open_bundle(output).manifest.precision == "newer"
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("length", [230, 255])
def test_a_name_may_be_as_long_as_the_file_system_takes(
    tmp_path: Path, bare_manifest: Manifest, contents: Mapping[str, bytes], length: int
) -> None:
    output = tmp_path / ("x" * length)
    export(output, bare_manifest, contents)
    export(output, replace(bare_manifest, precision="newer"), contents, force=True)
    assert open_bundle(output).manifest.precision == "newer"
    assert list(tmp_path.iterdir()) == [output]


@on_posix
def test_a_bundle_that_is_being_read_is_not_deleted_yet(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export(output, bare_manifest, contents)
    monkeypatch.setattr(staging_module, "_READ_FOR_S", 0.0)

    def read(place: Path) -> bytes:
        if not (output.parent / "done").exists():
            (output.parent / "done").touch()
            export(output, bare_manifest, {**contents, "encoder.onnx": b"another"}, force=True)
        return (place / "encoder.onnx").read_bytes()

    assert read_held(output, read) == b"encoder"
    assert len(list(output.parent.iterdir())) == 3
    export(output.with_name("next"), bare_manifest, contents)
    assert {path.name for path in output.parent.iterdir()} == {"xsum", "next", "done"}


def test_force_fills_an_empty_folder(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    output.mkdir(parents=True)
    export(output, bare_manifest, contents, force=True)
    open_bundle(output, check_hashes=True)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_of_a_linked_output_the_target_is_replaced(
    output: Path, tmp_path: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    export(tmp_path / "real", bare_manifest, contents)
    output.parent.mkdir()
    output.symlink_to(tmp_path / "real")
    export(output, replace(bare_manifest, precision="fp16"), contents, force=True)
    assert output.is_symlink()
    assert open_bundle(tmp_path / "real").manifest.precision == "fp16"


def test_a_failed_export_leaves_the_old_bundle_as_it_was(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    export(output, bare_manifest, contents)
    before = tree(output.parent)
    with pytest.raises(BundleError, match="precision: got "):
        export(output, replace(bare_manifest, precision=""), contents, force=True)
    assert tree(output.parent) == before


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "broken"), SystemExit(143)])
def test_a_failure_between_the_two_renames_puts_the_old_bundle_back(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    export(output, bare_manifest, contents)
    before = tree(output.parent)
    rename = os.rename

    def fail_for_the_new(source: Path, target: Path) -> None:
        if ".pegasus-partial-" in source.name:
            raise failure
        rename(source, target)

    monkeypatch.setattr(staging_module, "exchange_folders", lambda one, other: False)
    monkeypatch.setattr(os, "rename", fail_for_the_new)
    with pytest.raises(type(failure)):
        export(output, replace(bare_manifest, precision="fp16"), contents, force=True)
    assert tree(output.parent) == before


def test_an_output_that_appears_meanwhile_is_kept(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    with write_bundle(output) as staging:
        fill(staging, contents)
        export(output, replace(bare_manifest, precision="first"), contents)
        with pytest.raises(BundleError, match="output folder exists"):
            staging.commit(bare_manifest)
    assert open_bundle(output).manifest.precision == "first"
    assert list(output.parent.iterdir()) == [output]


SCRIPT = """
import sys, time
from pegasus_runtime.bundle import write_bundle
with write_bundle(sys.argv[1]) as staging:
    (staging.path / "weights.bin").write_bytes(bytes(1000))
    print(staging.path, flush=True)
    time.sleep(60)
"""


def start_export(output: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in the middle of an export, and its temporary folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(output)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@on_posix
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)],
)
def test_a_signal_ends_the_export_and_leaves_nothing(
    output: Path, number: signal.Signals, status: int
) -> None:
    process, staging = start_export(output)
    assert staging.is_dir()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == status
    assert list(output.parent.iterdir()) == []


@on_posix
def test_what_a_killed_export_left_is_removed_by_the_next_one(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    process, staging = start_export(output)
    process.kill()
    process.communicate(timeout=20)
    assert staging.is_dir()
    export(output, bare_manifest, contents)
    assert list(output.parent.iterdir()) == [output]


@on_posix
def test_only_what_nobody_holds_is_removed_beside_an_output_of_any_name(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    process, staging = start_export(output)
    try:
        foreign = output.with_name(".xsum.partial-0123456789abcdef")
        dead = output.with_name(".other.pegasus-partial-0123456789abcdef")
        for folder in (foreign, dead):
            folder.mkdir()
        export(output, bare_manifest, contents)
        assert {*output.parent.iterdir()} == {output, staging, foreign}
    finally:
        process.kill()
        process.communicate(timeout=20)


def leave_aside(output: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Put an old bundle where an export killed between its two renames leaves it."""
    process, staging = start_export(output)
    process.kill()
    process.communicate(timeout=20)
    staging.rename(staging.with_name("unused"))
    export(staging.with_name(staging.name.replace("partial", "replaced")), manifest, contents)


@on_posix
def test_a_bundle_moved_aside_by_a_killed_export_is_put_back(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    leave_aside(output, bare_manifest, contents)
    with pytest.raises(BundleError, match="output folder exists"), write_bundle(output):
        pytest.fail("entered")
    open_bundle(output, check_hashes=True)


@on_posix
def test_a_bundle_moved_aside_is_removed_where_the_new_one_is_in_place(
    output: Path, bare_manifest: Manifest, contents: Mapping[str, bytes]
) -> None:
    export(output.with_name("new"), replace(bare_manifest, precision="new"), contents)
    leave_aside(output, bare_manifest, contents)
    output.with_name("new").rename(output)
    export(output, replace(bare_manifest, precision="newer"), contents, force=True)
    assert open_bundle(output).manifest.precision == "newer"
    assert {path.name for path in output.parent.iterdir()} == {"xsum", "unused"}


def test_sigterm_is_left_to_a_program_that_handles_it(output: Path) -> None:
    def handler(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with write_bundle(output):
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_the_process_again_after_the_export(output: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with write_bundle(output):
            assert callable(signal.getsignal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_while_the_old_bundle_is_deleted_leaves_none_of_it(
    output: Path,
    bare_manifest: Manifest,
    contents: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export(output, bare_manifest, contents)
    delete, calls = shutil.rmtree, []

    def interrupted(path: Path, *, ignore_errors: bool) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise SystemExit(143)
        delete(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(staging_module.shutil, "rmtree", interrupted)
    with pytest.raises(SystemExit):
        export(output, replace(bare_manifest, precision="newer"), contents, force=True)
    assert open_bundle(output).manifest.precision == "newer"
    assert list(output.parent.iterdir()) == [output]
