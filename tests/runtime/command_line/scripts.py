"""Commands of a few lines, run as a shell runs ours: in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["COMMAND", "TIMEOUT_S", "start", "without_reader"]

COMMAND = "pegasus-test"
TIMEOUT_S = 60
_START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from pegasus_runtime.command_line.script import run_script
sys.exit(run_script("pegasus-test", "tested"))
"""
_TESTED = """
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.process import run_command
from pegasus_runtime.command_line.signals import UnwindOnSignals
from pegasus_runtime.command_line.streams import write_result
{top}
def run():
    {body}
    return 0

def main():
    return run_command("pegasus-test", run, exit_code=lambda error: None, failed=1)
"""


def start(folder: Path, body: str, *, top: str = "", **streams: Any) -> subprocess.Popen[bytes]:
    """A command of this body, in one line; top: what its module does when it is imported."""
    (folder / "tested.py").write_text(_TESTED.format(body=body, top=top))
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    given |= {"stderr": subprocess.PIPE} | streams
    before = given.pop("preexec_fn", lambda: None)

    def prepare() -> None:  # what runs the tests in the background has children ignore SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)
        before()

    command = [sys.executable, "-c", _START, str(folder)]
    return subprocess.Popen(command, preexec_fn=prepare, bufsize=0, **given)


def without_reader() -> int:
    """The writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing
