"""A bundle in the making: written to a temporary sibling folder, renamed when it is complete.

An interrupted export leaves nothing that loads: the manifest is the last file written, and the
folder gets its name only after that, in one step where the system can. What a killed process left
is cleared up by the next export beside it (`leftovers.py`).
"""

import contextlib
import dataclasses
import errno
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pegasus_runtime.bundle.folder import (
    MANIFEST_NAME,
    Bundle,
    check_needed_files,
    sha256_of_file,
)
from pegasus_runtime.bundle.folder_lock import hold_alone, lock_folder
from pegasus_runtime.bundle.json_node import MAX_TEXT_BYTES, load_json
from pegasus_runtime.bundle.leftovers import clear_leftovers, sibling_of
from pegasus_runtime.bundle.manifest import FileRecord, Manifest
from pegasus_runtime.bundle.manifest_json import dump_manifest
from pegasus_runtime.bundle.replace_folder import exchange_folders
from pegasus_runtime.bundle.when_free import when_free
from pegasus_runtime.errors import BundleError

__all__ = ["BundleWriter", "write_bundle"]

_READ_FOR_S = 30.0
_OF_FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(slots=True, kw_only=True, eq=False)
class BundleWriter:
    """Where an export puts its files until `commit` publishes them; see `write_bundle`.

    path: the temporary folder; write graphs, weights and tokenizer there.
    output: the absolute path that the bundle will have.
    """

    path: Path
    output: Path
    force: bool
    committed: bool = False
    _sha256: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # size, mtime_ns, hash

    def record(self, name: str, *, sha256: str) -> None:
        """Take over the hash of a finished file, so that it need not be read again.

        name: relative POSIX path; sha256: 64 lowercase hex digits. A file that is changed
        afterwards is read again. Raises: BundleError if there is no such file.
        """
        try:
            status = (self.path / name).stat()
        except OSError as err:
            raise BundleError(
                f"{name}: not in {self.path}: write the file, then record it"
            ) from err
        self._sha256[name] = (status.st_size, status.st_mtime_ns, sha256)

    def preview(self, manifest: Manifest) -> Bundle:
        """The unpublished bundle, to be verified before `commit`.

        manifest.files is filled in from the folder. Raises: BundleError for a manifest that could
        not be read back.
        """
        files = {name: self._record_of(name) for name in _files_below(self.path)}
        manifest = dataclasses.replace(manifest, files=files)
        check_needed_files(manifest)
        dump_manifest(manifest)
        return Bundle(folder=self.path, manifest=manifest)

    def commit(self, manifest: Manifest) -> Bundle:
        """Publish the bundle under `output`: record its files, write the manifest, sync, rename.

        Raises: BundleError for a manifest that could not be read back, or if `output` has appeared
        meanwhile and force is off; OSError from the file system. Then `output` is as before.
        """
        if self.committed:
            raise BundleError(f"{self.output}: already written: commit once")
        manifest = self.preview(manifest).manifest
        (self.path / MANIFEST_NAME).write_text(
            dump_manifest(manifest), encoding="utf-8", newline="\n"
        )
        for folder, _, names in os.walk(self.path):
            for name in names:
                _sync(Path(folder, name))
            _sync_folder(Path(folder))
        _check_output(self.output, self.force)
        replaced = _put_in_place(self.path, self.output)
        self.committed = True
        if replaced is not None:
            _delete_unread(replaced)
        return Bundle(folder=self.output, manifest=manifest)

    def _record_of(self, name: str) -> FileRecord:
        path = self.path / name
        status = path.stat()
        size, mtime_ns, sha256 = self._sha256.get(name, (-1, -1, ""))
        if (size, mtime_ns) != (status.st_size, status.st_mtime_ns):
            sha256 = sha256_of_file(path)
            self._sha256[name] = (status.st_size, status.st_mtime_ns, sha256)
        return FileRecord(bytes=status.st_size, sha256=sha256)


@contextlib.contextmanager
def write_bundle(output: Path | str, *, force: bool = False) -> Iterator[BundleWriter]:
    """Write a bundle to `output`, all or nothing.

    Without a call to `commit`, and on any exception, KeyboardInterrupt, SIGTERM or SIGHUP, the
    temporary folder is removed and `output` is as before. SIGTERM raises SystemExit(143) meanwhile,
    and SIGHUP SystemExit(129), unless the program has its own handler or this is not the main
    thread.
    force: replace a bundle, or an empty folder; anything else at `output` is refused all the same,
    and so is a bundle with files in its folder that are not its own.
    Raises: BundleError; OSError from the file system.

    >>> with write_bundle("xsum-int8", force=True) as staging:     # doctest: +SKIP
    ...     (staging.path / "encoder.onnx").write_bytes(encoder)
    ...     staging.commit(manifest)
    """
    output = Path(os.path.realpath(output))  # of a link, what it points to is replaced
    if not output.name:
        raise BundleError(f"output {output} is no folder that could be written: choose another")
    output.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(output)
    _check_output(output, force)
    with _exit_on_signals():
        path = sibling_of(output, "partial")
        staging = BundleWriter(path=path, output=output, force=force)
        try:
            path.mkdir()
            with hold_alone(path):  # until it has its name, or is gone
                yield staging
        finally:
            if not staging.committed:
                shutil.rmtree(path, ignore_errors=True)


def _check_output(output: Path, force: bool) -> None:
    """Refuse an output that exists, or under force one that is not a bundle."""
    if not os.path.lexists(output):
        return
    if not output.is_dir():
        raise BundleError(f"output is a file: {output}: choose another")
    if not force:
        raise BundleError(f"output folder exists: {output}: choose another or pass --force")
    if not any(output.iterdir()):
        return
    own = _files_of_bundle(output)
    if own is None:
        raise BundleError(
            f"output folder is not a bundle: {output}: --force replaces bundles only; "
            "choose another"
        )
    foreign = sorted(_all_files(output) - own)
    if foreign:
        raise BundleError(
            f"output folder has files that are not of its bundle: {output}: {foreign[0]!r}: "
            f"--force would delete {'it' if len(foreign) == 1 else f'these {len(foreign)}'}: "
            "move what you need, delete the rest, or choose another folder"
        )


def _files_of_bundle(folder: Path) -> set[str] | None:
    """What the manifest lists, and itself; of any schema version. None if it is no bundle."""
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            return None
        value = load_json(path.read_text(encoding="utf-8")).value
    except (OSError, UnicodeDecodeError, BundleError):
        return None
    if not isinstance(value, dict) or not {"schema_version", "graphs", "files"} <= value.keys():
        return None
    files = value["files"]
    return {MANIFEST_NAME, *files} if isinstance(files, dict) else None


def _all_files(folder: Path) -> set[str]:
    """Relative POSIX paths, but for what file managers leave."""
    return {
        Path(parent, name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder)
        for name in names
        if name not in _OF_FILE_MANAGERS
    }


def _put_in_place(staging: Path, output: Path) -> Path | None:
    """Gives `output` the new folder, and returns the old one's new name, if there was one."""
    if not output.exists():
        when_free(lambda: os.rename(staging, output))
        replaced = None
    elif exchange_folders(staging, output):
        replaced = staging
    else:
        replaced = _replace_in_two_steps(staging, output)
    _sync_folder(output.parent)
    return replaced


def _replace_in_two_steps(staging: Path, output: Path) -> Path:
    """What stood there comes back if the second one fails."""
    aside = sibling_of(output, "replaced")
    with _shared(output, aside):  # so that no other export takes it for dead
        try:
            when_free(lambda: os.rename(output, aside))
            when_free(lambda: os.rename(staging, output))
        except BaseException:
            if aside.exists() and not output.exists():
                when_free(lambda: os.rename(aside, output))
            raise
    return aside


@contextlib.contextmanager
def _shared(folder: Path, aside: Path) -> Iterator[None]:
    if os.name == "nt":  # where locks are on names
        with hold_alone(aside):
            yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock_folder(descriptor, shared=True)
        yield
    finally:
        os.close(descriptor)


def _delete_unread(folder: Path) -> None:
    """When nobody reads it any more; of a folder that is read for long, the next export does it."""
    with hold_alone(folder, timeout_s=_READ_FOR_S) as is_unread:
        if is_unread is not False:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:  # what a signal left of it
                shutil.rmtree(folder, ignore_errors=True)


def _files_below(folder: Path) -> list[str]:
    """Relative POSIX paths of all files; BundleError for links and a manifest."""
    names = []
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(f"{path}: a bundle holds regular files only: copy the file")
            if relative == MANIFEST_NAME:
                raise BundleError(f"{path}: written by commit alone: remove the file")
            if name in files:
                names.append(relative)
    return sorted(names)


def _sync(path: Path) -> None:
    """Have the file's bytes on the disk; Windows wants it open for writing."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Have the folder's entries on the disk, where the system can."""
    if os.name == "nt":
        return
    try:
        _sync(path)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise


@contextlib.contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP unwind the stack instead of ending the process on the spot."""
    names = ("SIGTERM", "SIGHUP", "SIGBREAK")  # the last: Windows, of a window that is closed
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()
    taken = [each for each in numbers if is_main and signal.getsignal(each) is signal.SIG_DFL]

    def leave(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    for number in taken:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
