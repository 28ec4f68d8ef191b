"""The right half: the summary as it is written, what is to be known of it, and where it goes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QTextBlockFormat, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QTextEdit, QVBoxLayout

from desktop.events import BundleFacts
from desktop.notice_bar import NoticeBar
from desktop.notices import details_of, notice_of
from desktop.shelf import Entry

__all__ = ["SummaryPane"]

_LINE_HEIGHT_PERCENT = 135.0
_LARGER_POINTS = 2.0


class SummaryPane(QFrame):
    """Shows an entry's summary, whole or as far as it is there."""

    def __init__(self, copy: QAction, save: QAction) -> None:
        super().__init__()
        self.setProperty("card", True)
        title = QLabel("Summary")
        title.setProperty("role", "title")
        self.copy_button, self.save_button = (_button_of(action) for action in (copy, save))
        self.notice = NoticeBar()
        self.text = QTextEdit(readOnly=True, acceptRichText=False)
        self.text.setAccessibleName("Summary")
        self.text.setTabChangesFocus(True)
        self.text.document().setDocumentMargin(0)
        self.text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # it wraps
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        font = self.text.font()
        font.setPointSizeF(font.pointSizeF() + _LARGER_POINTS)
        self.text.setFont(font)
        self.details = QLabel()
        self.details.setProperty("role", "muted")

        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.copy_button)
        head.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 10, 10)
        layout.addLayout(head)
        layout.addWidget(self.notice)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.details)

    def show_entry(self, entry: Entry, facts: BundleFacts | None) -> None:
        """Adds to the text what is new of it: a selection, and a reader's place, stay."""
        shown = self.text.toPlainText()
        if not entry.written.startswith(shown) or not shown:
            self.text.clear()
            shown = ""
        if len(entry.written) > len(shown):
            self._append(entry.written[len(shown) :])
        self.text.setPlaceholderText(_placeholder(entry))
        self.notice.show_notice(notice_of(entry, facts))
        self.details.setText(details_of(entry))

    def _append(self, text: str) -> None:
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        spacing = QTextBlockFormat()
        spacing.setLineHeight(
            _LINE_HEIGHT_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value
        )
        cursor.mergeBlockFormat(spacing)
        cursor.insertText(text)


def _placeholder(entry: Entry) -> str:
    return {
        "new": "The summary will stand here.",
        "waiting": "Its turn comes after the documents before it.",
        "reading": "Reading the document …",
        "writing": "Writing …",
    }.get(entry.state, "")


def _button_of(action: QAction) -> QPushButton:
    """A quiet button that does what the menu's line does, and can when that can."""
    button = QPushButton(action.iconText().removesuffix("…"))
    button.setProperty("flat", True)
    button.setToolTip(f"{action.toolTip()} ({action.shortcut().toString()})")
    button.setAccessibleName(action.toolTip())
    button.clicked.connect(action.trigger)
    action.enabledChanged.connect(button.setEnabled)
    button.setEnabled(action.isEnabled())
    return button
