"""The upper bar: which model writes, and light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QToolButton, QWidget

from desktop.actions import Actions
from desktop.events import BundleFacts
from desktop.notices import size_text

__all__ = ["Header"]


class Header(QWidget):
    """A button with a menu of models, and a switch."""

    bundle_asked = Signal(Path)

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self._actions = actions
        label = QLabel("&Model")
        label.setProperty("role", "muted")
        self.model = QToolButton()
        self.model.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.model.setAccessibleName("Model")
        self.menu = QMenu(self.model)
        self.model.setMenu(self.menu)
        label.setBuddy(self.model)
        self.about = QLabel()
        self.about.setProperty("role", "muted")
        self.theme = QToolButton()
        self.theme.setToolTip("Switch light and dark (Ctrl+D)")
        self.theme.clicked.connect(actions.switch_theme.trigger)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (label, self.model, self.about):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.theme)

    def set_narrow(self, is_narrow: bool) -> None:
        """Only what can be clicked, where there is little room."""
        self.about.setVisible(not is_narrow)

    def show_theme(self, *, is_dark: bool) -> None:
        """The switch says where it leads."""
        text = "Light" if is_dark else "Dark"
        self.theme.setText(text)
        self.theme.setAccessibleName(f"Switch to {text.lower()} colours")

    def show_model(self, facts: BundleFacts | None, *, is_loading: bool) -> None:
        """Which one is loaded."""
        name = "No model" if facts is None else f"{facts.name} · {facts.precision}"
        self.model.setText(f"{'Loading …' if is_loading else name}  ▾")
        self.model.setEnabled(self._actions.choose_model.isEnabled() and not is_loading)
        self.about.setText("" if facts is None or is_loading else _about(facts))
        self.model.setToolTip("" if facts is None else str(facts.folder))

    def show_choice(self, recent: Sequence[Path], built_in: Path | None) -> None:
        """recent: models that were chosen before; built_in: the one that came along."""
        self.menu.clear()
        if built_in is not None:
            self._add("Built-in", built_in)
        for folder in recent:
            if folder != built_in:
                self._add(folder.name, folder)
        self.menu.addSeparator()
        self.menu.addAction(self._actions.choose_model)

    def _add(self, text: str, folder: Path) -> None:
        action = self.menu.addAction(text)
        action.setToolTip(str(folder))
        action.triggered.connect(lambda: self.bundle_asked.emit(folder))


def _about(facts: BundleFacts) -> str:
    return f"{size_text(facts.num_bytes)}, reads up to {facts.max_source_tokens:,} tokens"
