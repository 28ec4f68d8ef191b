"""The packaged program tries itself: it says when it is ready, summarises, prints, and ends.

The lines are for a program: "ready", then a summary for each file, or "error: …".
"""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from desktop.window import Window

__all__ = ["smoke"]

_POLL_MS = 5
_TIMEOUT_MS = 60_000


def smoke(application: QApplication, window: Window) -> int:
    """Exit status: 0 if every file has a summary."""
    is_ready = False

    def look() -> None:
        nonlocal is_ready
        if window.desk.is_loading:
            return
        if not is_ready:
            is_ready = True
            print("ready", flush=True)
            window.start()
        if not window.desk.is_running:
            application.exit(_tell(window))

    timer = QTimer(interval=_POLL_MS)
    timer.timeout.connect(look)
    timer.start()
    QTimer.singleShot(_TIMEOUT_MS, lambda: application.exit(2))
    status = application.exec()
    timer.stop()
    window.close()
    return status


def _tell(window: Window) -> int:
    if window.desk.facts is None:
        print(f"error: {window.desk.problem}", flush=True)
        return 1
    status = 0
    for entry in window.desk.shelf.entries:
        if entry.summary is None:
            print(f"error: {entry.message or entry.state}", flush=True)
            status = 1
        else:
            print(entry.written.replace("\n", " "), flush=True)
    return status
