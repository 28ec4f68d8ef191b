"""Packages the desktop application, and tries what it has packaged: make desktop-app.

PyInstaller makes one folder and one file, in build/desktop/dist, with the bundle of
build/desktop/bundle inside. Each is measured and started, without a screen: it has to say that it
is ready, and to summarise an article as the bundle does outside.

    PYTHONPATH=examples:benchmarks python -m desktop.package --json build/desktop/desktop.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from desktop.bundles import load
from harness.machine import describe_machine, made_by, package_version
from harness.table import Cell, Column, Table

__all__ = ["PackageError", "Size", "Trial", "size_of_file", "size_of_folder", "try_program"]

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build" / "desktop"
SPEC = REPOSITORY / "examples" / "desktop" / "pegasus_desktop.spec"
ARTICLE = REPOSITORY / "examples" / "articles" / "strike_627.txt"
NAME = "pegasus-desktop"
QUESTION = "How large is the packaged desktop application, and how soon is it ready?"
_QT = ("PySide6", "shiboken6")
_MB = 1e6
_TIMEOUT_S = 120.0


class PackageError(Exception):
    """What was packaged does not do what it has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes on disk: of all, and of Qt and its bindings alone."""

    total: int
    qt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """ready_s: from the start of the process until the window is there and the model is loaded;
    memory: bytes that it has then; cpu_s: of all cores, until an article is summarised and the
    process has ended."""

    ready_s: float
    memory: int
    cpu_s: float
    summary: str


def package(*, one_file: bool) -> Path:
    """Runs PyInstaller: the program's file."""
    kind = "file" if one_file else "folder"
    dist = BUILD / "dist" / kind
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    command += ["--distpath", str(dist), "--workpath", str(BUILD / "work" / kind), str(SPEC)]
    environment = {**os.environ, "PEGASUS_DESKTOP_ONE_FILE": "1" if one_file else ""}
    subprocess.run(command, check=True, env=environment)
    suffix = ".exe" if os.name == "nt" else ""
    return (dist if one_file else dist / NAME) / f"{NAME}{suffix}"


def size_of_folder(folder: Path) -> Size:
    """Of the files in it; links take nothing."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    of_qt = [path for path in files if set(_QT) & set(path.relative_to(folder).parts)]
    return Size(
        total=sum(path.stat().st_size for path in files),
        qt=sum(path.stat().st_size for path in of_qt),
    )


def size_of_file(program: Path) -> Size:
    """Of the whole file; Qt's are the compressed bytes of what is Qt's in it."""
    from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]

    entries = CArchiveReader(str(program)).toc
    of_qt = [entry[1] for name, entry in entries.items() if Path(name).parts[0] in _QT]
    return Size(total=program.stat().st_size, qt=sum(of_qt))


def try_program(program: Sequence[str | Path], settings: Path) -> Trial:
    """Starts it as a person would, but without a screen. Raises: PackageError."""
    command = [*map(str, program), "--smoke", "--settings", str(settings), str(ARTICLE)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    start, cpu_before = time.perf_counter(), _cpu_of_children()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        ready_s = time.perf_counter() - start
        memory = _memory_of(process.pid)
        rest = process.stdout.read()
        status = process.wait(_TIMEOUT_S)
    if status or first != "ready\n":
        raise PackageError(f"{command[0]} ended with status {status}: {first}{rest}".strip())
    cpu_s = _cpu_of_children() - cpu_before
    return Trial(ready_s=ready_s, memory=memory, cpu_s=cpu_s, summary=rest.strip())


def _memory_of(pid: int) -> int:
    """Resident bytes, those of its children included: a packed file starts one; 0 if it ended."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def _cpu_of_children() -> float:
    """Seconds; 0 on Windows, which does not count those of processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def check_trials(trials: Iterable[Trial], expected: str) -> None:
    """Raises: PackageError unless all have written what the bundle writes outside."""
    others = {trial.summary for trial in trials} - {expected}
    if others:
        raise PackageError(f"the packaged program wrote {others.pop()!r}, expected {expected!r}")


def write_outside() -> str:
    """The article's summary, by the same bundle in this process."""
    *_, summary = load(BUILD / "bundle").summarizer.stream(ARTICLE.read_text("utf-8"))
    return summary.text.replace("\n", " ")


def make_table(sizes: Mapping[str, Size], trials: Mapping[str, Sequence[Trial]]) -> Table:
    """A row each for the folder and the file."""
    columns = (
        Column(title="packaged as"),
        Column(title="without Qt", unit="MB", digits=1),
        Column(title="Qt's own", unit="MB", digits=1),
        Column(title="in all", unit="MB", digits=1),
        Column(title="start to ready", unit="s", digits=2),
        Column(title="CPU time, an article included", unit="s", digits=2),
        Column(title="memory when ready", unit="MB"),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, size in sizes.items():
        ready_s = statistics.median(trial.ready_s for trial in trials[name])
        cpu_s = statistics.median(trial.cpu_s for trial in trials[name])
        memory = statistics.median(trial.memory for trial in trials[name]) / _MB
        megabytes = [(size.total - size.qt) / _MB, size.qt / _MB, size.total / _MB]
        rows.append((name, *megabytes, ready_s, cpu_s, memory))
    return Table(columns=columns, rows=tuple(rows))


def write_report(path: Path, table: Table, trials: Mapping[str, Sequence[Trial]]) -> None:
    """The file that docs/desktop.md shows."""
    used = ("numpy", "onnxruntime", "PySide6-Essentials", "pyinstaller")
    packages = ", ".join(f"{name} {package_version(name)}" for name in used)
    content = {
        "question": QUESTION,
        "made": made_by(" ".join(["python -m desktop.package", *sys.argv[1:]])),
        "machine": describe_machine() | {"packages": packages},
        "tables": {"desktop": table.to_json()},
        "ready_s": {name: [round(t.ready_s, 3) for t in each] for name, each in trials.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--starts", type=int, default=10, help="of each (default: 10)")
    parser.add_argument("--keep", action="store_true", help="measure what was packaged before")
    asked = parser.parse_args()
    sizes, trials = {}, {}
    try:
        for name in ("one folder", "one file"):
            one_file = name == "one file"
            suffix = ".exe" if os.name == "nt" else ""
            kept = BUILD / "dist" / ("file" if one_file else f"folder/{NAME}") / (NAME + suffix)
            program = kept if asked.keep else package(one_file=one_file)
            sizes[name] = size_of_file(program) if one_file else size_of_folder(program.parent)
            settings = BUILD / "smoke.ini"
            try_program([program], settings)  # the first start reads everything from disk
            trials[name] = [try_program([program], settings) for _ in range(asked.starts)]
            check_trials(trials[name], write_outside())
    except (PackageError, subprocess.CalledProcessError) as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    table = make_table(sizes, trials)
    print(table.text())
    if asked.json is not None:
        write_report(asked.json, table, trials)
    return 0


if __name__ == "__main__":
    sys.exit(main())
