"""A model of Triton's repository, made of a bundle that is there: all of it or nothing."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pegasus_export.errors import OutputError, UnsupportedError
from pegasus_export.triton.config import HEADER, model_config
from pegasus_export.triton.readme import model_readme
from pegasus_runtime.bundle import MANIFEST_NAME, Bundle, Manifest, open_bundle, read_held
from pegasus_runtime.bundle.folder_lock import hold_alone
from pegasus_runtime.bundle.leftovers import clear_leftovers, sibling_of
from pegasus_runtime.bundle.replace_folder import exchange_folders
from pegasus_runtime.bundle.when_free import when_free
from pegasus_runtime.errors import PegasusError

__all__ = ["check_repository", "check_servable", "write_repository"]

_BACKEND = Path(__file__).with_name("model.py")
_CONFIG, _README, _VERSION, _BUNDLE = "config.pbtxt", "README.md", "1", "bundle"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_servable(*, target: str, task: str | None, has_plans: bool = True) -> None:
    """Whether the backend can run such a bundle; before the export and not after.

    task: None where it is not known yet. Raises: UnsupportedError.
    """
    if target == "onnx":
        raise UnsupportedError(
            "--triton serves with pegasus_runtime, which does not run target onnx: use --target "
            "ort, trt or trt-rtx"
        )
    if task not in (None, "summarization"):
        raise UnsupportedError(
            f"--triton is for summarization, this bundle is for {task}: leave it out, and load the "
            "bundle in a Python backend of your own"
        )
    if not has_plans:
        raise UnsupportedError(
            "--triton needs plans, this bundle has only graphs to build them of: build first, "
            "leave out --onnx-only"
        )


def check_repository(repository: Path, output: Path, *, force: bool) -> Path:
    """The folder of the model, of the bundle's name; whether it can be written.

    force: replaces what --triton wrote there before. Raises: OutputError, UnsupportedError.
    """
    name = Path(os.path.realpath(output)).name
    if _NAME.fullmatch(name) is None:
        raise UnsupportedError(
            f"--triton names the model as the bundle's folder, which is {name!r}: rename it to "
            "letters, digits, '_', '-' and '.'"
        )
    place = Path(os.path.realpath(repository)) / name
    bundle = Path(os.path.realpath(output))
    if place == bundle or bundle in place.parents or place in bundle.parents:
        raise OutputError(
            f"{place} would be the bundle's folder, in it, or around it: choose another folder for "
            "--triton"
        )
    if not os.path.lexists(place):
        return place
    if place.is_symlink() or not place.is_dir():
        raise OutputError(f"{place} is a file or a link: choose another folder for --triton")
    if not force:
        raise OutputError(f"model exists: {place}: choose another folder or pass --force")
    foreign = _foreign_files(place)
    if foreign:
        raise OutputError(
            f"{place} has files that --triton did not write: {foreign[0]!r}: --force would delete "
            "them: move what you need, delete the rest, or choose another folder"
        )
    return place


def write_repository(folder: Path, repository: Path, *, force: bool = False) -> Path:
    """Writes NAME/config.pbtxt, NAME/README.md and NAME/1 with model.py and bundle/.

    folder: the bundle's, whose name is the model's. Its files are linked, so that they are on the
    disk once; where that cannot be, copied. Either all of it is there afterwards, or nothing.
    Returns the model's folder. Raises: UnsupportedError, OutputError, BundleError.
    """
    manifest = open_bundle(folder).manifest
    check_servable(target=manifest.target, task=manifest.task, has_plans=_has_plans(manifest))
    place = check_repository(repository, folder, force=force)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(place)
        with _staging(place) as staging:
            version = staging / _VERSION
            version.mkdir()
            bundle = read_held(folder, lambda held: _link_bundle(held, version / _BUNDLE))
            texts = {
                staging / _CONFIG: model_config(bundle.manifest, place.name),
                staging / _README: model_readme(bundle.manifest, place.name),
                version / _BACKEND.name: _BACKEND.read_text("utf-8"),
            }
            for path, text in texts.items():
                path.write_text(text, encoding="utf-8", newline="\n")
            check_repository(repository, folder, force=force)
            _put_in_place(staging, place)
    except OSError as err:
        raise OutputError(
            f"{place} cannot be written ({err.strerror or err}): free some space, or choose "
            "another folder"
        ) from err
    return place


def _has_plans(manifest: Manifest) -> bool:
    return manifest.plans is None or manifest.plans.version is not None


@contextlib.contextmanager
def _staging(place: Path) -> Iterator[Path]:
    path = sibling_of(place, "partial")
    try:
        path.mkdir()
        with hold_alone(path):  # until it has its name, or is gone
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # what was replaced, too


def _link_bundle(held: Path, output: Path) -> Bundle:
    shutil.rmtree(output, ignore_errors=True)  # of a bundle that was replaced meanwhile
    bundle = open_bundle(held)
    for name in (*bundle.manifest.files, MANIFEST_NAME):
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        file = held / name
        if file.is_symlink():  # a link to a link would lead elsewhere from here
            file = Path(os.path.realpath(file))
        try:
            os.link(file, path)
        except OSError:  # another file system, or one without links
            shutil.copyfile(file, path)
    return bundle


def _put_in_place(staging: Path, place: Path) -> None:
    """What stood there gets the name of the staging folder, or comes back if that fails."""
    if not place.exists():
        when_free(lambda: os.rename(staging, place))
        return
    if exchange_folders(staging, place):
        return
    aside = sibling_of(place, "replaced")
    with hold_alone(aside):
        try:
            when_free(lambda: os.rename(place, aside))
            when_free(lambda: os.rename(staging, place))
        except BaseException:
            if aside.exists() and not place.exists():
                when_free(lambda: os.rename(aside, place))
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _foreign_files(place: Path) -> list[str]:
    """What is not of an earlier --triton; everything, if there is no configuration of its kind."""
    there = sorted(
        Path(parent, name).relative_to(place).as_posix()
        for parent, folders, names in os.walk(place)
        for name in (*names, *folders)
        if not Path(parent, name).is_dir() or Path(parent, name).is_symlink()
    )
    own: set[str] = set()
    try:
        is_ours = (place / _CONFIG).read_text("utf-8").startswith(HEADER)
        own |= {_CONFIG, _README, f"{_VERSION}/{_BACKEND.name}"}
        bundle = place / _VERSION / _BUNDLE
        own |= {
            f"{_VERSION}/{_BUNDLE}/{name}"
            for name in (*open_bundle(bundle).manifest.files, MANIFEST_NAME)
        }
    except (OSError, ValueError, PegasusError):
        is_ours = not there
    return [name for name in there if name not in own] if is_ours else there
