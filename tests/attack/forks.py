"""Processes that fork with or without a bundle loaded: all end, and each says what is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from attack.bases import Bases
from attack.outcome import Outcome, Verdict, announce, draw
from attack.pool import child_environment

__all__ = ["PART", "prepare", "try_case"]

PART = "forks"

_END_S = 60.0
_KINDS = ("pegasus", "bigbird", "int8", "fp16")
_BEFORE = {
    "imported": "import_onnxruntime()",
    "loaded": "own = load()",
    "run": "own = load(); own.summarize(TEXT)",
    "run in threads": "own = load(); ask_in_threads(own)",
    "closed": "load().close()",
    "iterated": "own = load(); begun = own.summarize_each([TEXT] * 3, window=1); next(begun)",
}
_IN_CHILD = {
    "nothing": "pass",
    "another": "assert load().summarize(TEXT).token_ids == right",
    "another in threads": "ask_in_threads(load())",
    "the parent's": "refused(lambda: own.summarize(TEXT))",
    "the parent's in a batch": "refused(lambda: own.summarize([TEXT] * 2))",
    "close the parent's": "own.close()",
    "iterate the parent's": "refused(lambda: next(begun))",
}
_HOW = {
    "os.fork": "code = run_forked(in_child)",
    "multiprocessing": "code = run_process(in_child)",
    "a pool": "code = run_pool(in_child)",
    "a thread's os.fork": "code = run_in_thread(lambda: run_forked(in_child))",
}
_ENDS = {"sys.exit": "sys.exit(0)", "os._exit": "os._exit(0)", "return": "return"}
_SCRIPT = """
import gc, json, multiprocessing, os, sys, threading
from concurrent.futures import ProcessPoolExecutor
from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.native.ort import import_onnxruntime

TEXT = "The old miller sold a red boat in March."
right = tuple(json.loads(sys.argv[2]))
own = begun = None

def load():
    return Summarizer.load(sys.argv[1], threads=2)

def ask_in_threads(summarizer):
    found = []
    def ask():
        found.append(summarizer.summarize(TEXT).token_ids)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert found == [right] * 4, found

def refused(act):
    try:
        act()
    except PegasusError as err:
        assert "before this process was forked" in str(err), err
    else:
        raise AssertionError("not refused")

def run_forked(act):
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def run_process(act):
    process = multiprocessing.get_context("fork").Process(target=act)
    process.start()
    process.join()
    return process.exitcode

def run_pool(act):
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(act).result()
    return 0

def run_in_thread(act):
    found = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()
    thread.join()
    return found[0]

def in_child():
    {in_child}
    gc.collect()
    {end}

{before}
{how}
assert code == 0, code
if begun is not None:
    assert [each.token_ids for each in begun] == [right] * 2
if own is not None:
    assert own.summarize(TEXT).token_ids == right
    own.close()
assert load().summarize(TEXT).token_ids == right
"""
_SOUND = """
import json, sys
from pegasus_runtime import Summarizer
with Summarizer.load(sys.argv[1], threads=2) as summarizer:
    print(json.dumps(summarizer.summarize("The old miller sold a red boat in March.").token_ids))
"""
_right: dict[str, str] = {}


def prepare(bases: Bases) -> None:
    """What every bundle says, from a process of its own: this one forks."""
    for name in {*_KINDS} & {*bases.names("bundles")}:
        command = [sys.executable, "-c", _SOUND, str(bases.bundle(name))]
        _right[name] = subprocess.run(command, check=True, capture_output=True, text=True).stdout


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """What is done before the fork, how it is done, what the child does, and how it ends."""
    rng = draw(PART, seed, case)
    name = rng.choice(sorted(_right))
    before, how = rng.choice(list(_BEFORE)), rng.choice(list(_HOW))
    has_own = before not in ("imported", "closed")
    in_child = rng.choice(
        [
            each
            for each in _IN_CHILD
            if (has_own or "parent" not in each)
            and (before == "iterated" or not each.startswith("iterate"))
        ]
    )
    end = "return" if how == "a pool" else rng.choice(list(_ENDS))
    what = f"{name}: {before}, {how}, {in_child}, {end}"
    announce(folder, what)
    script = _SCRIPT.format(
        before=_BEFORE[before], how=_HOW[how], in_child=_IN_CHILD[in_child], end=_ENDS[end]
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(bases.bundle(name)), _right[name]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=child_environment(folder),
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=_END_S)
        verdict = Verdict.RIGHT if (process.returncode, text) == (0, "") else Verdict.CRASH
        words = f"exit code {process.returncode}: {text[-400:]}" if verdict != Verdict.RIGHT else ""
    except subprocess.TimeoutExpired:
        verdict, words = Verdict.HANG, f"over {_END_S:g} s"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)
