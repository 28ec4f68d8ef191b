"""The lower bar: how long a summary may be, how many beams look for it, and how far it is."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop.events import BundleFacts
from desktop.notices import progress_text
from desktop.restyle import restyle
from desktop.shelf import Progress
from pegasus_runtime import GenerationOptions

__all__ = ["Controls"]

_PERMILLE = 1000
_FIELD_HEIGHT = 30


class Controls(QWidget):
    """Asks for a run, or for its end; the fields begin with what the model was trained for."""

    run_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._facts: BundleFacts | None = None
        self.shortest = _field("Shortest summary, in tokens", "No shorter than so many tokens")
        self.longest = _field("Longest summary, in tokens", "No longer than so many tokens")
        self.longest.setSuffix(" tokens")
        self.beams = _field(
            "Beams", "How many candidates are pursued: more is slower, and mostly better"
        )
        self.reset = QPushButton("Reset")
        self.reset.setProperty("flat", True)
        self.reset.setToolTip("Back to what the model was trained for")
        self.reset.clicked.connect(self._fill)
        self.status = QLabel()
        self.status.setProperty("role", "muted")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setAccessibleName("Progress")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("End the work (Esc)")
        self.cancel.clicked.connect(self.cancel_asked)
        self.start = QPushButton("Summarise")
        self.start.setProperty("primary", True)
        self.start.setToolTip("Summarise all that has no summary yet (Ctrl+Return)")
        self.start.clicked.connect(self.run_asked)
        self.longest.valueChanged.connect(self.shortest.setMaximum)
        self._lay_out()
        self.show_idle("", can_start=False)

    @property
    def options(self) -> GenerationOptions:
        """What differs from the model's own; lengths count the start token, as everywhere."""
        facts = self._facts
        if facts is None:
            return GenerationOptions()
        return GenerationOptions(
            min_length=_unless(self.shortest.value(), facts.min_length),
            max_length=_unless(self.longest.value(), facts.max_length),
            num_beams=_unless(self.beams.value(), facts.num_beams),
        )

    def show_facts(self, facts: BundleFacts) -> None:
        """The ranges of another model, and its own values."""
        self._facts = facts
        self._fill()

    def show_idle(self, status: str, *, can_start: bool) -> None:
        """Nothing runs."""
        self._enable(is_running=False, can_start=can_start)
        self.bar.setVisible(False)
        self.status.setText(status)

    def show_progress(self, progress: Progress) -> None:
        """A run is on. A bar without end: nobody knows how long reading takes."""
        self._enable(is_running=True, can_start=False)
        is_reading = progress.total == 1 and not progress.share
        self.bar.setRange(0, 0 if is_reading else _PERMILLE)
        self.bar.setValue(round(progress.share * _PERMILLE))
        self.bar.setVisible(True)
        self.status.setText(progress_text(progress))

    def set_narrow(self, is_narrow: bool) -> None:
        """Rows rather than columns, where there is little room."""
        for row, widget in enumerate((self._fields, self._state, self._buttons)):
            self._grid.addWidget(widget, *((row, 0) if is_narrow else (0, row)))
        self._grid.setColumnStretch(0, int(is_narrow))
        self._grid.setColumnStretch(1, int(not is_narrow))

    def _enable(self, *, is_running: bool, can_start: bool) -> None:
        for each in (self.shortest, self.longest, self.beams, self.reset):
            each.setEnabled(self._facts is not None and not is_running)
        self.cancel.setEnabled(is_running)
        self.start.setEnabled(can_start)
        restyle(self.start, "running", is_running)

    def _fill(self) -> None:
        facts = self._facts
        if facts is None:
            return
        self.shortest.setRange(0, facts.max_target_tokens)
        self.longest.setRange(2, facts.max_target_tokens)
        self.beams.setRange(1, facts.max_beams)
        self.longest.setValue(facts.max_length)
        self.shortest.setValue(facts.min_length)
        self.beams.setValue(facts.num_beams)

    def _lay_out(self) -> None:
        self._fields, self._state, self._buttons = QWidget(), QWidget(), QWidget()
        fields = QHBoxLayout(self._fields)
        for label, field in (
            ("&Length", self.shortest),
            ("t&o", self.longest),
            ("&Beams", self.beams),
        ):
            named = QLabel(label)
            named.setBuddy(field)
            fields.addWidget(named)
            fields.addWidget(field)
        fields.addWidget(self.reset)
        fields.addStretch(1)
        state = QVBoxLayout(self._state)
        state.setSpacing(5)
        state.addStretch(1)
        state.addWidget(self.status)
        state.addWidget(self.bar)
        self.status.setMinimumWidth(1)  # a long name is cut, and does not widen the window
        state.addStretch(1)
        buttons = QHBoxLayout(self._buttons)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.start)
        for layout in (fields, state, buttons):
            layout.setContentsMargins(0, 0, 0, 0)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self.set_narrow(False)


def _unless(value: int, own: int) -> int | None:
    return None if value == own else value


def _field(name: str, tip: str) -> QSpinBox:
    field = QSpinBox()
    field.setMinimumHeight(_FIELD_HEIGHT)
    field.setAccessibleName(name)
    field.setToolTip(tip)
    field.setRange(0, 0)
    return field
