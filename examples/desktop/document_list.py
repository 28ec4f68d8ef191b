"""The documents by name, where there are several, and how far each is."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from desktop.shelf import Entry, Shelf, State

__all__ = ["DocumentList"]

_MARKS: Mapping[State, str] = {
    "new": " ",
    "waiting": "…",
    "reading": "▸",
    "writing": "▸",
    "done": "✓",
    "failed": "!",
    "stopped": "-",
}
_LOW_PIXELS = 116
_ANY_PIXELS = (1 << 24) - 1  # Qt's largest


class DocumentList(QListWidget):
    """Says which one a person wants to look at."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Documents")
        self.setProperty("card", True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumSize(190, 60)
        self.currentRowChanged.connect(self.chosen)

    def show_shelf(self, shelf: Shelf) -> None:
        """Changes rows in place, so that a list that was scrolled stays where it is."""
        self.blockSignals(True)
        while self.count() > len(shelf.entries):
            self.takeItem(self.count() - 1)
        while self.count() < len(shelf.entries):
            self.addItem(QListWidgetItem())
        for row, entry in enumerate(shelf.entries):
            _show_row(self.item(row), entry)
        row = shelf.entries.index(shelf.current)
        if row != self.currentRow():
            self.setCurrentRow(row)
            self.scrollToItem(self.item(row))
        self.blockSignals(False)
        self.setVisible(len(shelf.entries) > 1)

    def set_narrow(self, is_narrow: bool) -> None:
        """A few rows above the text, rather than a column beside it."""
        self.setMaximumHeight(_LOW_PIXELS if is_narrow else _ANY_PIXELS)
        self.scrollToItem(self.currentItem())


def _show_row(item: QListWidgetItem, entry: Entry) -> None:
    item.setText(f"{_MARKS[entry.state]}  {entry.name}")
    item.setToolTip(entry.name)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.name}: {entry.state}")
