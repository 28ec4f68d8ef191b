"""What is remembered from one time to the next: model, theme, and where the window was."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import QByteArray, QSettings

from desktop.bundles import is_bundle
from desktop.theme import Theme

__all__ = ["MAX_RECENT", "Preferences"]

MAX_RECENT = 5


class Preferences:
    """Typed, over Qt's settings; a value that makes no sense is as if it were not there."""

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings

    @property
    def theme(self) -> Theme:
        value = self._settings.value("theme")
        return cast(Theme, value) if value in ("light", "dark") else "system"

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self._settings.setValue("theme", theme)

    @property
    def bundle(self) -> str:
        """Empty: the built-in one."""
        return str(self._settings.value("bundle") or "")

    @bundle.setter
    def bundle(self, folder: str) -> None:
        self._settings.setValue("bundle", folder)

    @property
    def recent(self) -> list[Path]:
        """Bundles that were chosen, the last first, as far as they are still there."""
        value = self._settings.value("recent")
        names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        paths = [Path(str(name)) for name in names if name]
        return [path for path in paths if is_bundle(path)]

    def add_recent(self, folder: Path) -> None:
        others = [path for path in self.recent if path != folder]
        names = [str(path) for path in (folder, *others)]
        self._settings.setValue("recent", names[:MAX_RECENT])

    @property
    def geometry(self) -> QByteArray:
        value = self._settings.value("geometry")
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._settings.setValue("geometry", geometry)
