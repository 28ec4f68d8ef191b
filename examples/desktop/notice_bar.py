"""A line that says what went wrong, or what is not as one may think; not there otherwise."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from desktop.notices import Notice
from desktop.restyle import restyle

__all__ = ["NoticeBar"]


class NoticeBar(QFrame):
    """Shows one notice; the text can be selected, so that it can be sent to somebody."""

    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None, *, can_be_closed: bool = False) -> None:
        super().__init__(parent)
        self.label = QLabel(wordWrap=True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        close = QPushButton("Dismiss")
        close.setProperty("flat", True)
        close.clicked.connect(self.dismissed)
        close.setVisible(can_be_closed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.addWidget(self.label, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def show_notice(self, notice: Notice | None) -> None:
        """None hides the line."""
        self.setVisible(notice is not None)
        if notice is None:
            self.label.clear()
            return
        self.label.setText(notice.text)
        self.setAccessibleName(f"{notice.kind}: {notice.text}")
        restyle(self, "notice", notice.kind)
        self._hold_height()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        super().resizeEvent(event)
        self._hold_height()

    def _hold_height(self) -> None:
        """A layout with too little room would take it from whatever wraps."""
        height = self.label.heightForWidth(self.label.width())
        self.label.setMinimumHeight(max(0, height))  # -1 without text
