"""The pictures of docs/desktop.md, of the window as it is now: make desktop-screenshots.

    QT_QPA_PLATFORM=offscreen python -m desktop.screenshots docs

Light: articles that are summarised. Dark: a long text in a narrow window, while it is written.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from desktop.application import make_application
from desktop.bundles import find_built_in, load
from desktop.preferences import Preferences
from desktop.window import Window

__all__ = ["main"]

_ARTICLES = Path(__file__).resolve().parents[1] / "articles"
_TIMEOUT_S = 60.0
_ENOUGH_CHARACTERS = 30
_MAX_BYTES = 150_000


def _wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _TIMEOUT_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing to be seen after {_TIMEOUT_S:g} s")
        QApplication.processEvents()
        time.sleep(0.001)


def _take(window: Window, path: Path) -> None:
    for _ in range(5):  # layouts settle one after the other
        QApplication.processEvents()
    window.grab().save(str(path))
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes, at most {_MAX_BYTES:,} are wanted")
    print(f"{path.name}: {size:,} bytes")


def _write_long_text(folder: Path) -> Path:
    """All articles in one, which is more than the model reads."""
    file = folder / "all_articles.txt"
    texts = [path.read_text("utf-8") for path in sorted(_ARTICLES.glob("*.txt"))]
    file.write_text("\n".join(texts), "utf-8")
    return file


def take_all(output: Path, scratch: Path) -> None:
    """Writes both pictures."""
    settings = QSettings(str(scratch / "settings.ini"), QSettings.Format.IniFormat)
    window = Window(load, Preferences(settings))
    built_in = find_built_in()
    if built_in is None:
        raise FileNotFoundError("there is no bundle in build/desktop: make desktop-app")
    window.open_bundle(built_in)
    window.show()
    _wait_until(lambda: window.desk.facts is not None)
    window.set_theme("light")
    files = sorted(_ARTICLES.glob("*.txt"))
    window.add_files([*files[:4], _write_long_text(scratch)])
    window.start()
    _wait_until(lambda: not window.desk.is_running)
    _take(window, output / "desktop-light.png")
    window.set_theme("dark")
    window.commands.clear.trigger()
    window.resize(880, 560)
    window.add_files(files[4:5])
    window.start()
    _wait_until(lambda: len(window.desk.shelf.current.written) > _ENOUGH_CHARACTERS)
    _take(window, output / "desktop-dark.png")
    window.close()


def main() -> int:
    application = make_application()
    with tempfile.TemporaryDirectory() as scratch:
        take_all(Path(sys.argv[1]), Path(scratch))
    application.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
