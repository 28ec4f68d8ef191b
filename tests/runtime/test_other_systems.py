"""The runtime without what only Unix has: it imports, and summarises the same text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pegasus_runtime import Summarizer

TEXT = "The old miller sold a red boat near the river."
SCRIPT = """
import os, signal, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import logging.handlers, multiprocessing, platform, subprocess, tempfile, ctypes, numpy
import onnxruntime, sentencepiece  # theirs are other files on other systems
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refused())
GONE = ("fork", "forkpty", "getuid", "geteuid", "getgid", "link", "sched_getaffinity", "killpg",
        "getpgid", "setsid", "uname", "statvfs", "sysconf", "O_NOFOLLOW", "O_DIRECTORY",
        "register_at_fork", "mkfifo", "pread", "set_blocking", "get_blocking")
for name in GONE:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGALRM", "SIGPIPE", "pthread_kill"):
    if hasattr(signal, name):
        delattr(signal, name)
platform.libc_ver = lambda: ("", "")
open_file = os.open
def refuse_folders(path, flags, *rest, **named):
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return open_file(path, flags, *rest, **named)
os.open = refuse_folders

from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import folder_lock
from pegasus_runtime.diagnosis.system import find_system
assert folder_lock.fcntl is None
assert len(find_system()) > 3
with Summarizer.load(sys.argv[1], provider="cpu", threads=1) as summarizer:
    sys.stdout.buffer.write(summarizer.summarize(sys.argv[2]).text.encode())
"""


def test_a_summary_needs_nothing_that_only_unix_has(tiny_bundle: Callable[..., Path]) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tiny_bundle()), TEXT]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    with Summarizer.load(tiny_bundle(), provider="cpu", threads=1) as summarizer:
        assert done.stdout.decode() == summarizer.summarize(TEXT).text
