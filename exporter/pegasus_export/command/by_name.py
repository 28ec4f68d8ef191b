"""The export that a program asks for which was given a checkpoint's name, as its child process.

One line of JSON comes on standard input: the model, and the entry of the cache that it is for. The
reply is a line of JSON on standard output, {"folder": ...} or {"error": ...}; progress shows on
standard error. The input stays open as long as whoever asked is there; its end ends the export,
which clears up.
"""

import _thread
import json
import os
import signal
import sys
import threading
from typing import IO

from pegasus_export.errors import ExportError
from pegasus_export.request.export import ExportRequest
from pegasus_runtime.command_line.signals import UnwindOnSignals
from pegasus_runtime.errors import PegasusError
from pegasus_runtime.hub.entry import Entry

__all__ = ["main"]

_CLEAR_UP_S = 10.0


def main() -> int:
    """Reads the request, exports to the cache, writes the reply; the exit code."""
    replies = _take_stdout()
    asked = json.loads(sys.stdin.buffer.readline())
    entry = Entry(**asked["entry"])
    is_done = threading.Event()
    threading.Thread(target=_end_with_stdin, args=[is_done], daemon=True).start()
    try:
        with UnwindOnSignals():
            reply = _export(asked["model"], entry)
    except KeyboardInterrupt:
        return 130
    finally:
        is_done.set()
    replies.write(json.dumps(reply) + "\n")
    replies.close()
    return 0


def _take_stdout() -> IO[str]:
    """For the reply alone: what libraries print goes to standard error from now on."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _end_with_stdin(is_done: threading.Event) -> None:
    """Whoever asked is gone when their end of the pipe is."""
    while os.read(0, 1):  # not by sys.stdin, whose lock would be held when Python ends
        pass
    if is_done.is_set():
        return
    if sys.platform != "win32":
        os.kill(os.getpid(), signal.SIGINT)
        return
    _thread.interrupt_main()  # as os.kill would end the process there, and clear up nothing
    if not is_done.wait(_CLEAR_UP_S):  # it is in a long call, which that does not end
        os._exit(130)


def _export(model: str, entry: Entry) -> dict[str, str]:
    try:
        from pegasus_export.request.progress import choose_progress
        from pegasus_export.stages.export import export_bundle

        request = ExportRequest(
            model=model,
            revision=entry.revision,
            task=entry.task,
            precision=entry.precision or "fp32",
            output=entry.bundle,
            force=True,  # over what somebody left who was killed before it was recorded
        )
        result = export_bundle(request, choose_progress(quiet=False))
    except ModuleNotFoundError as err:
        return {"error": f"{err.name} is not installed: pip install 'pegasus-edge[export]'"}
    except (ExportError, PegasusError) as err:
        return {"error": str(err)}
    except MemoryError:
        return {"error": f"not enough memory to export {entry.name}"}
    except OSError as err:
        return {"error": f"{entry.bundle} cannot be written ({err.strerror or err})"}
    return {"folder": str(result.bundle.folder)}
