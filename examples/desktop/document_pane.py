"""The left half: the document's text, which may be pasted, typed, opened or dropped."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QFocusEvent, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

from desktop.empty_state import EmptyState
from desktop.notices import words_text
from desktop.restyle import restyle
from desktop.shelf import Entry

__all__ = ["DocumentPane", "files_of"]

_LONG_WORD = 5_000
_ANYWHERE = QTextOption.WrapMode.WrapAnywhere
_BETWEEN_WORDS = QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere


def files_of(data: QMimeData) -> list[Path]:
    """The files on this computer that were dropped or pasted."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


class _Editor(QPlainTextEdit):
    """Takes plain text, and hands files on rather than writing their addresses into the text."""

    files_given = Signal(list)

    def wrap_for(self, text: str) -> None:
        """Before such a text is shown: Qt's time grows with the square of a word that no line
        holds, so a megabyte without a space would stop the window for minutes."""
        longest = max(map(len, text.split()), default=0)
        self.setWordWrapMode(_ANYWHERE if longest > _LONG_WORD else _BETWEEN_WORDS)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802  Qt's name
        return bool(files_of(source)) or source.hasText()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        if files := files_of(source):
            self.files_given.emit(files)
        else:
            self.wrap_for(self.toPlainText() + source.text())
            super().insertFromMimeData(source)


class DocumentPane(QFrame):
    """Shows an entry's text, and says when a person changes it."""

    edited = Signal(str)
    files_given = Signal(list)
    open_asked = Signal()

    def __init__(self, *, has_example: bool) -> None:
        super().__init__()
        self.setProperty("card", True)
        self.title = QLabel("Document")
        self.title.setAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        self.title.setProperty("role", "title")
        self.count = QLabel()
        self.count.setProperty("role", "muted")
        self.open_button = QPushButton("Open…")
        self.open_button.setProperty("flat", True)
        self.open_button.setToolTip("Open text files (Ctrl+O)")
        self.open_button.clicked.connect(self.open_asked)
        self.editor = _Editor()
        self.editor.setAccessibleName("Document to summarise")
        self.editor.setTabChangesFocus(True)
        self.editor.document().setDocumentMargin(0)
        self.editor.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # it wraps
        self.editor.files_given.connect(self.files_given)
        self.editor.textChanged.connect(self._on_text_changed)
        self.empty = EmptyState(self.editor, has_example=has_example)
        self.empty.open_asked.connect(self.open_asked)
        self._is_showing = False
        self._text = ""
        """What the editor holds: asking it copies all of it."""

        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.open_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 10, 10)
        layout.addLayout(head)
        layout.addWidget(self.editor, 1)
        layout.addWidget(self.count)

    def show_entry(self, entry: Entry, *, is_locked: bool) -> None:
        """is_locked: while it is being summarised, its text stays as it is."""
        if entry.text != self._text:
            self._text = entry.text
            self._is_showing = True  # what the editor makes of odd spaces is nobody's edit
            self.editor.wrap_for(entry.text)
            self.editor.setPlainText(entry.text)
            self._is_showing = False
            self._show_count()
        self.title.setText("Document" if entry.is_pasted else entry.name)
        self.title.setToolTip("" if entry.is_pasted else entry.name)
        self.editor.setReadOnly(is_locked)

    def show_dropping(self, is_dropping: bool) -> None:
        """A frame that says: let go here."""
        restyle(self, "dropping", is_dropping)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        self.editor.setFocus(event.reason())

    def _on_text_changed(self) -> None:
        if not self._is_showing:
            self._text = self.editor.toPlainText()
            self._show_count()
            self.edited.emit(self._text)

    def _show_count(self) -> None:
        text = self._text
        self.count.setText(words_text(text) if text.strip() else "")
        self.empty.setVisible(not text)
