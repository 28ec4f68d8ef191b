"""A bundle of ONNX graphs for TensorRT to one of plans: what pegasus-export does last for these
targets, and pegasus-build with what was exported with --onnx-only.
"""

import contextlib
import errno
import math
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from pegasus_engines.plans.plugin import bring_plugin
from pegasus_engines.plans.tensorrt import BuildOptions, build_plan, check_gpus
from pegasus_engines.plans.watch import OnProgress
from pegasus_engines.progress import Progress
from pegasus_runtime.bundle import Bundle, BundleWriter, Manifest, PlanSpec, TableSpec
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import load_flavour

__all__ = ["Check", "fill_with_plans"]

Check = Callable[[Bundle, Path], None]
"""Called with the bundle of graphs and the folder of its plans, before they are published."""

_STEPS = 100
_TABLES_FILE = "tables.bin"
_PAGE_BYTES = 4096
_CHUNK_BYTES = 2**22
# A file system that has no links, or no more of them, or another one than the bundle's. Windows
# says EINVAL of one that has none, Android EACCES.
_CANNOT_LINK = (
    *(errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK),
    *(errno.EINVAL, errno.ENOSYS, errno.EACCES),
)


def fill_with_plans(
    bundle: Bundle,
    staging: BundleWriter,
    options: BuildOptions,
    progress: Progress,
    check: Check | None = None,
) -> Manifest:
    """Fills the staging folder with plans, and with every file that a runtime needs beside them.

    Graphs, and the weights that they refer to, stay behind; tables that are inputs of the plans get
    a file of their own. Other files are linked where the file system can, so that none of the two
    bundles may be edited in place.
    Returns the manifest to commit. Raises: EngineError; BundleError for missing files; OSError
    from the file system.
    """
    manifest = bundle.manifest
    plans = _check(bundle, options)
    flavour = load_flavour(options.target)
    capabilities = check_gpus(flavour, options, current_capability())
    plugin = bring_plugin(flavour, bundle, options)
    graphs = {}
    for name, graph in manifest.graphs.items():
        file = PurePosixPath(graph.file).with_suffix(".plan").as_posix()
        output = staging.path / file
        output.parent.mkdir(parents=True, exist_ok=True)
        with _show_build(progress, name) as on_progress:
            build_plan(
                bundle.path(graph.file),
                output,
                profiles=plans.profiles[name],
                options=options,
                on_progress=on_progress,
            )
        graphs[name] = replace(graph, file=file)
    for file in _files_beside_plans(bundle):
        _link(bundle.path(file), staging.path / file)
        staging.record(file, sha256=manifest.files[file].sha256)
    tables = _cut_tables(bundle, staging)
    if check is not None:
        with progress("compare with ONNX Runtime"):
            check(bundle, staging.path)
    return replace(
        manifest,
        graphs=graphs,
        tables=tables,
        plans=replace(
            plans, version=flavour.version, compute_capabilities=capabilities, plugin=plugin
        ),
        tools={**manifest.tools, flavour.tool: flavour.version},
        files={},
    )


@contextlib.contextmanager
def _show_build(progress: Progress, graph: str) -> Iterator[OnProgress]:
    shown = 0
    with progress(f"build {graph}", total_steps=_STEPS) as advance:

        def step(done: int, total: int) -> None:
            nonlocal shown
            now = _STEPS * done // max(1, total)
            advance(now - shown)
            shown = now

        yield step


def _check(bundle: Bundle, options: BuildOptions) -> PlanSpec:
    manifest = bundle.manifest
    if manifest.plans is None or manifest.target != options.target:
        raise EngineError(
            f"{bundle.folder}: exported for target {manifest.target}, "
            f"expected {options.target}: export the checkpoint with --target {options.target}"
        )
    if manifest.plans.version is not None:
        raise EngineError(
            f"{bundle.folder}: holds plans of TensorRT {manifest.plans.version} and no graphs: "
            "export the checkpoint again, with --onnx-only to keep the graphs"
        )
    return manifest.plans


def _files_beside_plans(bundle: Bundle) -> list[str]:
    """All files but the graphs, those that graphs refer to, and those that tables are cut of."""
    manifest = bundle.manifest
    graphs = {graph.file for graph in manifest.graphs.values()}
    left = graphs | {table.file for table in manifest.tables.values()}
    return [
        file
        for file in manifest.files
        if file not in left and not any(_refers_to(bundle, graph, file) for graph in graphs)
    ]


def _cut_tables(bundle: Bundle, staging: BundleWriter) -> dict[str, TableSpec]:
    """Copies every table out of the weights, into one file."""
    tables = {}
    with (staging.path / _TABLES_FILE).open("xb") as output:
        for name, table in bundle.manifest.tables.items():
            output.write(bytes(-output.tell() % _PAGE_BYTES))
            tables[name] = replace(table, file=_TABLES_FILE, offset=output.tell())
            left = math.prod(table.shape) * np.dtype(table.dtype).itemsize
            with bundle.path(table.file).open("rb") as weights:
                weights.seek(table.offset)
                while left:
                    left -= output.write(weights.read(min(left, _CHUNK_BYTES)))
    if not tables:
        (staging.path / _TABLES_FILE).unlink()
    return tables


def _refers_to(bundle: Bundle, graph: str, file: str) -> bool:
    """Whether a graph has external data in a file.

    Looked up in the bytes of the entry {key: "location", value: file}, which spares devices the
    onnx package.
    """
    location = os.path.relpath(file, PurePosixPath(graph).parent).replace(os.sep, "/").encode()
    entry = b"\n\x08location\x12" + _varint(len(location)) + location
    with bundle.path(graph).open("rb") as opened:
        if os.fstat(opened.fileno()).st_size == 0:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(entry) >= 0


def _varint(value: int) -> bytes:
    """As protobuf writes sizes: seven bits per byte, the lowest first."""
    if value < 128:
        return bytes([value])
    return bytes([value & 127 | 128]) + _varint(value >> 7)


def _link(source: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    if not hasattr(os, "link"):
        shutil.copyfile(source, output)
        return
    try:
        os.link(source.resolve(), output)  # of a link, Linux would link the link
    except OSError as err:
        if err.errno not in _CANNOT_LINK:
            raise
        shutil.copyfile(source, output)
