"""The menus: everything the window can do, by name and by key."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from desktop.theme import Theme

__all__ = ["THEMES", "Actions"]

THEMES: tuple[tuple[Theme, str], ...] = (
    ("system", "As the &system"),
    ("light", "&Light"),
    ("dark", "&Dark"),
)


class Actions:
    """Made for a window; who owns it connects them."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        key = Qt.Key
        control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
        self.open = self._make("&Open…", "Open text files", QKeySequence.StandardKey.Open)
        self.clear = self._make("&New", "Put all documents away", QKeySequence.StandardKey.New)
        self.remove = self._make(
            "&Remove document", "Put this document away", QKeySequence(control | key.Key_W)
        )
        self.choose_model = self._make(
            "Choose &model…", "Choose the folder of a model", QKeySequence(control | key.Key_M)
        )
        self.save = self._make("&Save…", "Save the summary", QKeySequence.StandardKey.Save)
        self.save_all = self._make(
            "Save &all…", "Save all summaries", QKeySequence(control | shift | key.Key_S)
        )
        self.quit = self._make("&Quit", "Quit", QKeySequence(control | key.Key_Q))
        self.quit.setMenuRole(QAction.MenuRole.QuitRole)
        self.start = self._make(
            "&Summarise", "Summarise all that has none", QKeySequence(control | key.Key_Return)
        )
        self.cancel = self._make("&Cancel", "End the work", QKeySequence(key.Key_Escape))
        self.copy = self._make(
            "C&opy", "Copy the summary", QKeySequence(control | shift | key.Key_C)
        )
        self.switch_theme = self._make(
            "&Switch light and dark", "Switch light and dark", QKeySequence(control | key.Key_D)
        )
        self.about = self._make("&About", "About this program", QKeySequence())
        self.about.setMenuRole(QAction.MenuRole.AboutRole)
        self.themes = self._make_themes()
        self._fill_menus()

    def _make(self, text: str, tip: str, keys: QKeySequence | QKeySequence.StandardKey) -> QAction:
        action = QAction(text, self._window)
        action.setToolTip(tip)
        action.setShortcut(keys)
        return action

    def _make_themes(self) -> dict[Theme, QAction]:
        group = QActionGroup(self._window)
        made: dict[Theme, QAction] = {}
        for theme, text in THEMES:
            made[theme] = QAction(text, self._window, checkable=True)
            group.addAction(made[theme])
        return made

    def _fill_menus(self) -> None:
        bar = self._window.menuBar()
        self._add(bar.addMenu("&File"), self.open, self.clear, self.remove, None)
        self._add(self._menu("&File"), self.choose_model, None, self.save, self.save_all)
        self._add(self._menu("&File"), None, self.quit)
        self._add(bar.addMenu("&Summary"), self.start, self.cancel, None, self.copy)
        view = bar.addMenu("&View")
        self._add(view, *self.themes.values(), None, self.switch_theme)
        self._add(bar.addMenu("&Help"), self.about)

    def _menu(self, title: str) -> QMenu:
        found = next(a.menu() for a in self._window.menuBar().actions() if a.text() == title)
        assert isinstance(found, QMenu)
        return found

    @staticmethod
    def _add(menu: QMenu, *actions: QAction | None) -> None:
        for action in actions:
            if action is None:
                menu.addSeparator()
            else:
                menu.addAction(action)
