"""What stands in an empty window: what to do first."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

__all__ = ["EmptyState"]


class EmptyState(QWidget):
    """Lies over the field that it is about, which takes clicks and keys through it."""

    open_asked = Signal()
    example_asked = Signal()

    def __init__(self, field: QWidget, *, has_example: bool) -> None:
        super().__init__(field)
        field.installEventFilter(self)
        invitation = QLabel("Drop text files here")
        invitation.setProperty("role", "invitation")
        more = QLabel("or paste a text: the summary is written beside it.", wordWrap=True)
        more.setProperty("role", "muted")
        self.open_button = QPushButton("Open files…")
        self.open_button.clicked.connect(self.open_asked)
        self.example_button = QPushButton("Try an example")
        self.example_button.clicked.connect(self.example_asked)
        self.example_button.setVisible(has_example)
        buttons = QHBoxLayout()
        buttons.setAlignment(Qt.AlignmentFlag.AlignCenter)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.example_button)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addStretch(2)
        for label in (invitation, more):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            layout.addWidget(label)
        layout.addLayout(buttons)
        layout.addStretch(3)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Keeps the size of the field."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.resize(watched.size())
        return False
