"""What threads have freed is given back after a quiet time."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from pegasus_runtime.native.heap import QuietTime

QUIET_S = 0.05

# Each thread keeps a little at the end of its heap, and frees what lies before that.
MANY_THREADS = """
import ctypes, sys, threading, time
from pegasus_runtime.native import heap

if sys.argv[1] == "given back":
    heap.limit_heaps()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
start = threading.Barrier(16)
end = threading.Barrier(17)

def work():
    start.wait()
    blocks = [library.malloc(100_000) for _ in range(60)]
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    start.wait()
    for block in blocks[:-1]:
        library.free(block)
    end.wait()
    end.wait()

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

library.free.restype = None
threads = [threading.Thread(target=work) for _ in range(16)]
before = resident_mib()
for thread in threads:
    thread.start()
end.wait()
if sys.argv[1] == "given back":
    quiet = heap.QuietTime(heap._give_back, 0.05)
    quiet.note()
    time.sleep(0.4)
print(resident_mib() - before)
end.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's heaps")
def test_what_many_threads_freed_is_given_back() -> None:
    kept, left = (
        float(subprocess.check_output([sys.executable, "-c", MANY_THREADS, way]))
        for way in ("kept", "given back")
    )
    assert kept > 50  # MiB; they had 92
    assert left < kept / 4


def test_the_act_comes_once_after_the_last_note() -> None:
    acts: list[float] = []
    acted = threading.Event()

    def act() -> None:
        acts.append(time.monotonic())
        acted.set()

    quiet = QuietTime(act, QUIET_S)
    for _ in range(4):
        quiet.note()
        time.sleep(QUIET_S / 5)
    last = time.monotonic()
    quiet.note()
    assert not acts
    assert acted.wait(10)
    assert acts[0] >= last + QUIET_S
    acted.clear()
    quiet.note()  # what comes later has a quiet time of its own
    assert acted.wait(10)
    assert len(acts) == 2


def test_one_thread_waits_however_much_is_noted() -> None:
    quiet = QuietTime(lambda: None, QUIET_S)
    before = threading.active_count()
    for _ in range(100):
        quiet.note()
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")],
)
def test_a_number_of_heaps_that_the_environment_sets_stays(variable: str, value: str) -> None:
    script = (
        "from pegasus_runtime.native import heap; heap._glibc = lambda: print('asked'); "
        "heap.limit_heaps()"
    )
    environment = {k: v for k, v in os.environ.items() if k not in (variable, "MALLOC_ARENA_MAX")}
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environment) == b"asked\n"
    assert subprocess.check_output(command, env=environment | {variable: value}) == b""
