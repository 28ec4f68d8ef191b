"""pegasus-export in a process of its own: what it imports and takes of memory ends with it.

A request goes to its standard input, as one line of JSON; the reply comes on its standard output.
Standard error is ours, where its progress shows. It ends when its input does, so with this process,
however that ends; what it had begun is cleared away by the next one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec

from pegasus_runtime.command_line.signals import UnwindOnSignals
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.entry import Entry
from pegasus_runtime.native.child_python import child_python

__all__ = ["check_can_export", "export_entry"]

_PROGRAM = "from pegasus_export.scripts import export_by_name; sys.exit(export_by_name())"
_NEEDED = ("torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "rich")
_END_S = 20.0


def check_can_export(name: str) -> None:
    """Raises: BundleError, if what an export needs is not installed, or there is no Python."""
    missing = next((each for each in _NEEDED if find_spec(each) is None), None)
    if missing is not None:
        raise BundleError(
            f"{name} is a checkpoint, which is to be exported once, and {missing} is not "
            "installed: pip install 'pegasus-edge[export,cpu]', or load a bundle that was made "
            "elsewhere"
        )
    if getattr(sys, "frozen", False):
        raise BundleError(
            f"{name} is a checkpoint, which this program cannot export: run pegasus-export "
            "and load the folder that it writes"
        )


def export_entry(entry: Entry, *, model: str) -> None:
    """Exports a checkpoint, a folder or one of the hub, to an entry's place in the cache.

    Raises: BundleError, with what the export says.
    """
    reply = _run(json.dumps({"model": model, "entry": asdict(entry)}))
    if "error" in reply:
        raise BundleError(str(reply["error"]))


def _run(request: str) -> dict[str, object]:
    """The reply. Raises: BundleError if there is none."""
    with (
        UnwindOnSignals(),
        subprocess.Popen(
            child_python(_PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(f"{request}\n".encode())
            child.stdin.flush()  # and stays open
            text = child.stdout.read()
        except BaseException:
            child.stdin.close()
            try:
                child.wait(_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
        child.stdin.close()
        code = child.wait()
    try:
        reply = json.loads(text)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise BundleError(
            f"the export ended with exit code {code} and without a word: free some memory, or run "
            "pegasus-export and load the folder that it writes"
        )
    return reply
