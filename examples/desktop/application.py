"""The program: arguments, the window, and the loop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from desktop.bundles import choose_first, load
from desktop.preferences import Preferences
from desktop.smoke import smoke
from desktop.window import Window

__all__ = ["main", "make_application"]


def make_application() -> QApplication:
    """Qt's application; its own style everywhere, so that the style sheet looks the same."""
    application = QApplication(sys.argv[:1])
    application.setApplicationName("pegasus-edge")
    application.setOrganizationName("pegasus-edge")
    application.setStyle("Fusion")
    return application


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status."""
    asked = _parse(arguments)
    application = make_application()
    window = Window(partial(load, threads=asked.threads), Preferences(_settings(asked.settings)))
    folder = choose_first(asked.bundle, window.preferences.bundle)
    if folder is not None:
        window.open_bundle(folder)
    if asked.files:
        window.add_files(asked.files)
    window.show()
    if asked.smoke:
        return smoke(application, window)
    return application.exec()


def _settings(path: Path | None) -> QSettings:
    """The person's own, or those in a file."""
    return QSettings() if path is None else QSettings(str(path), QSettings.Format.IniFormat)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pegasus-desktop", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="texts to begin with")
    parser.add_argument("--bundle", type=Path, help="a folder that pegasus-export wrote")
    parser.add_argument("--threads", type=int, help="of the engine (default: one per core)")
    parser.add_argument("--settings", type=Path, help="remember in this file (default: the user's)")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="say when it is ready, summarise the files, print the summaries, and end",
    )
    return parser.parse_args(arguments)
