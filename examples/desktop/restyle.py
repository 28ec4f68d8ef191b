"""Properties that the style sheet looks at."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

__all__ = ["restyle"]


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Sets a property, and has the widget painted after it: Qt would not by itself."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    for each in (widget, *widget.findChildren(QWidget)):
        each.style().unpolish(each)
        each.style().polish(each)
