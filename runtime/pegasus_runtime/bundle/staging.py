"""A bundle in the making: written to a temporary sibling folder, renamed when it is complete.

An interrupted export leaves nothing that loads: the manifest is the last file written, and the
folder gets its name only after that. Siblings of the output folder:
    .NAME.partial-<pid>-<host>-<random>    being written
    .NAME.replaced-<pid>-<host>-<random>   the old bundle, while the new one takes its place
What a killed process left of these is cleared up by the next export to the same output.
"""

import contextlib
import dataclasses
import errno
import hashlib
import os
import platform
import re
import secrets
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
from pegasus_runtime.bundle.json_node import load_json
from pegasus_runtime.bundle.manifest import FileRecord, Manifest
from pegasus_runtime.bundle.manifest_json import dump_manifest
from pegasus_runtime.errors import BundleError

__all__ = ["BundleWriter", "write_bundle"]


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
        _put_in_place(self.path, self.output)
        self.committed = True
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

    Without a call to `commit`, and on any exception, KeyboardInterrupt or SIGTERM, the temporary
    folder is removed and `output` is as before. SIGTERM raises SystemExit(143) meanwhile, unless
    the program has its own handler or this is not the main thread.
    force: replace a bundle, or an empty folder; anything else at `output` is refused all the same.
    Raises: BundleError; OSError from the file system.

    >>> with write_bundle("xsum-int8", force=True) as staging:     # doctest: +SKIP
    ...     (staging.path / "encoder.onnx").write_bytes(encoder)
    ...     staging.commit(manifest)
    """
    output = Path(os.path.realpath(output))  # of a link, what it points to is replaced
    if not output.name:
        raise BundleError(f"output {output} is no folder that could be written: choose another")
    output.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(output)
    _check_output(output, force)
    with _exit_on_sigterm():
        staging = BundleWriter(path=_sibling(output, "partial"), output=output, force=force)
        try:
            staging.path.mkdir()
            yield staging
        finally:
            if not staging.committed:
                shutil.rmtree(staging.path, ignore_errors=True)


def _check_output(output: Path, force: bool) -> None:
    """Refuse an output that exists, or under force one that is not a bundle."""
    if not os.path.lexists(output):
        return
    if not output.is_dir():
        raise BundleError(f"output is a file: {output}: choose another")
    if not force:
        raise BundleError(f"output folder exists: {output}: choose another or pass --force")
    if any(output.iterdir()) and not _looks_like_bundle(output):
        raise BundleError(
            f"output folder is not a bundle: {output}: --force replaces bundles only; "
            "choose another"
        )


def _looks_like_bundle(folder: Path) -> bool:
    """Whether a folder holds the manifest of a bundle, of any schema version."""
    try:
        value = load_json((folder / MANIFEST_NAME).read_text(encoding="utf-8")).value
    except (OSError, UnicodeDecodeError, BundleError):
        return False
    return isinstance(value, dict) and {"schema_version", "graphs", "files"} <= value.keys()


def _put_in_place(staging: Path, output: Path) -> None:
    """Rename `staging` to `output`; what stood there comes back if that fails."""
    aside = _sibling(output, "replaced")
    try:
        if output.exists():
            os.rename(output, aside)
        os.rename(staging, output)
        _sync_folder(output.parent)
    except BaseException:
        if aside.exists() and not output.exists():
            os.rename(aside, output)
        raise
    finally:
        if output.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _sibling(output: Path, role: str) -> Path:
    name = f".{output.name}.{role}-{os.getpid()}-{_host()}-{secrets.token_hex(4)}"
    return output.with_name(name)


def _host() -> str:
    """Eight hex digits for this machine: process ids mean nothing on another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _clear_leftovers(output: Path) -> None:
    """Remove what killed processes of this machine left beside `output`, or put it back."""
    pattern = re.compile(
        rf"\.{re.escape(output.name)}\.(partial|replaced)-([0-9]+)-{_host()}-[0-9a-f]+"
    )
    for path in sorted(output.parent.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is None or _is_alive(int(match[2])):
            continue
        if match[1] == "replaced" and not os.path.lexists(output):
            os.rename(path, output)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # os.kill(pid, 0) would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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
def _exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack instead of ending the process on the spot."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def exit_143(signum: int, frame: FrameType | None) -> None:
        sys.exit(128 + signum)

    signal.signal(signal.SIGTERM, exit_143)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
