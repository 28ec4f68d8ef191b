"""ONNX Runtime: it tells nobody anything, and forks of a process that has it can end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pegasus_runtime.bundle import Bundle

SUMMARIZE = """
import os, sys
from pegasus_runtime import Summarizer
with Summarizer.load(sys.argv[1], threads=1) as summarizer:
    summarizer.summarize("The old miller sold a red boat in March.")
links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
print(sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link)))
"""
FORK = """
import os, sys
from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.native.ort import import_onnxruntime

TEXT = "The old miller sold a red boat in March."
import_onnxruntime()
loaded = {loaded}
if loaded:
    loaded.summarize(TEXT)
    begun = loaded.summarize_each([TEXT] * 3, batch_size=1, window=1)
    next(begun)
child = os.fork()
if child == 0:
    {in_child}
    sys.exit(5)  # through all that Python does at its end
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if loaded:
    loaded.summarize(TEXT)  # the parent's is as it was
    assert len(list(begun)) == 2
sys.exit(status)
"""
ITERATE = """
    try:
        next(begun)
    except PegasusError as err:
        print(err)
"""
LOADED = "Summarizer.load(sys.argv[1], threads=2)"
USE_ANOTHER = f"{LOADED}.summarize(TEXT)"
USE_IT = """
    try:
        loaded.summarize(TEXT)
    except PegasusError as err:
        print(err)
    loaded.close()
"""


def _run(script: str, bundle: Bundle, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """As a user would: on CI servers, ONNX Runtime keeps quiet by itself."""
    found = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", script, str(bundle.folder)],
        env=found | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | more,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_summary_tells_nobody_anything(bundle: Bundle, tmp_path: Path) -> None:
    """Neither a device id nor a database in the user's cache, and no connection."""
    done = _run(SUMMARIZE, bundle, tmp_path)
    assert done.stdout == "0\n", done.stderr
    assert _files(tmp_path) == []


def test_telemetry_may_be_left_on(bundle: Bundle, tmp_path: Path) -> None:
    """By which the test above is known to see it."""
    done = _run(SUMMARIZE, bundle, tmp_path, PEGASUS_ORT_TELEMETRY="1")
    assert done.returncode == 0, done.stderr
    if not _files(tmp_path):
        pytest.skip("this ONNX Runtime has no telemetry")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    ("loaded", "in_child", "said"),
    [
        ("None", "pass", ""),
        ("None", USE_ANOTHER, ""),
        (LOADED, "pass", ""),
        (LOADED, USE_ANOTHER, ""),
        (LOADED, USE_IT, "the Summarizer was loaded before this process was forked"),
        (LOADED, ITERATE, "the bundle was loaded before this process was forked"),
    ],
    ids=["nothing", "load", "parent's stays", "load another", "parent's is used", "iterated"],
)
def test_a_fork_ends_and_loads_for_itself(
    bundle: Bundle, tmp_path: Path, loaded: str, in_child: str, said: str
) -> None:
    done = _run(FORK.format(loaded=loaded, in_child=in_child), bundle, tmp_path)
    assert done.returncode == 5, done.stderr
    assert said in done.stdout
    assert bool(done.stdout) == bool(said)
