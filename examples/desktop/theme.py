"""Light and dark: colours, and the style sheet made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template
from typing import Literal, TypeAlias

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

__all__ = ["DARK", "LIGHT", "Colours", "Theme", "apply_theme", "colours_of", "is_dark"]

Theme: TypeAlias = Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """Texts have a contrast of at least 4.5 to 1 on what they stand on."""

    window: str
    surface: str
    field: str
    border: str
    text: str
    muted: str
    disabled: str
    accent: str
    accent_hover: str
    on_accent: str
    hover: str
    warning: str
    on_warning: str
    error: str
    on_error: str


LIGHT = Colours(
    window="#f4f5f7",
    surface="#ffffff",
    field="#ffffff",
    border="#d5d9e0",
    text="#1a1d23",
    muted="#59616e",
    disabled="#9aa1ac",
    accent="#2b59c3",
    accent_hover="#2249a6",
    on_accent="#ffffff",
    hover="#e8ebf0",
    warning="#fff3cf",
    on_warning="#5c4300",
    error="#fde7e5",
    on_error="#8c1d18",
)
DARK = Colours(
    window="#16181d",
    surface="#1f2228",
    field="#2a2f38",
    border="#363b45",
    text="#e7eaf0",
    muted="#a0a8b5",
    disabled="#666e7b",
    accent="#86a8ff",
    accent_hover="#a3bdff",
    on_accent="#0f1a33",
    hover="#2a2f38",
    warning="#3a3013",
    on_warning="#f2d78f",
    error="#43201e",
    on_error="#ffb4ab",
)

_SHEET = Template("""
QMainWindow, QDialog { background: $window; }
QFrame[card="true"] { background: $surface; border: 1px solid $border; border-radius: 8px; }
QFrame[card="true"][focused="true"] { border-color: $accent; }
QFrame[dropping="true"] { border: 2px dashed $accent; }
QLabel { background: transparent; color: $text; }
QLabel:disabled { color: $disabled; }
QLabel[role="invitation"] { font-size: 15pt; font-weight: 600; }
QLabel[role="title"] { font-weight: 600; }
QLabel[role="muted"] { color: $muted; }
QPlainTextEdit, QTextEdit, QListWidget {
    background: transparent; border: none; selection-background-color: $accent;
    selection-color: $on_accent; }
QListWidget[card="true"] { padding: 4px; }
QListWidget::item { padding: 7px 6px; border-radius: 5px; color: $text; }
QListWidget::item:hover { background: $hover; }
QListWidget::item:selected { background: $accent; color: $on_accent; }
QPushButton, QToolButton {
    background: $surface; color: $text; border: 1px solid $border; border-radius: 6px;
    padding: 5px 12px; min-height: 18px; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:focus, QToolButton:focus { border-color: $accent; }
QPushButton:disabled, QToolButton:disabled { color: $disabled; background: $window; }
QPushButton[primary="true"] {
    background: $accent; border-color: $accent; color: $on_accent; font-weight: 600;
    padding: 5px 20px; }
QPushButton[primary="true"]:hover { background: $accent_hover; }
QPushButton[primary="true"]:focus { border: 2px solid $text; padding: 4px 19px; }
QPushButton[primary="true"]:disabled {
    background: $hover; border-color: $border; color: $disabled; }
QPushButton[flat="true"] { background: transparent; border-color: transparent; padding: 3px 8px; }
QPushButton[flat="true"]:hover { background: $hover; }
QPushButton[flat="true"]:focus { border-color: $accent; }
QToolButton::menu-indicator { image: none; }
QProgressBar { background: $hover; border: none; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QFrame[notice="warning"] { background: $warning; border-radius: 6px; }
QFrame[notice="error"] QPushButton { color: $on_error; }
QFrame[notice="error"] QPushButton:hover { background: transparent; border-color: $on_error; }
QFrame[notice="warning"] QLabel { color: $on_warning; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QFrame[notice="error"] { background: $error; border-radius: 6px; }
QFrame[notice="error"] QLabel { color: $on_error; }
QSplitter::handle { background: transparent; }
QMenuBar, QMenu { background: $window; color: $text; }
QMenu { border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 24px; border-radius: 4px; }
QMenuBar::item { padding: 4px 9px; border-radius: 4px; background: transparent; }
QMenu::item:selected, QMenuBar::item:selected { background: $hover; }
QMenu::item:disabled { color: $disabled; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QToolTip { background: $surface; color: $text; border: 1px solid $border; padding: 4px; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar::handle:vertical { background: $border; border-radius: 3px; min-height: 24px; }
QScrollBar::handle:vertical:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { height: 0; width: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
""")


def is_dark(theme: Theme) -> bool:
    """Whether it is dark now; as the system is, where it is to follow that."""
    if theme == "system":
        return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return theme == "dark"


def colours_of(theme: Theme) -> Colours:
    return DARK if is_dark(theme) else LIGHT


def apply_theme(application: QApplication, theme: Theme) -> None:
    """Gives all windows of the application the colours; dialogs of the system follow, too."""
    schemes = {
        "system": Qt.ColorScheme.Unknown,
        "light": Qt.ColorScheme.Light,
        "dark": Qt.ColorScheme.Dark,
    }
    QGuiApplication.styleHints().setColorScheme(schemes[theme])
    colours = colours_of(theme)
    application.setPalette(_palette(colours))
    application.setStyleSheet(_SHEET.substitute(asdict(colours)))


def _palette(colours: Colours) -> QPalette:
    """For what the style sheet does not paint: dialogs, placeholders, cursors, links."""
    role, palette = QPalette.ColorRole, QPalette()
    for place, colour in (
        (role.Window, colours.window),
        (role.Base, colours.field),
        (role.AlternateBase, colours.window),
        (role.Button, colours.surface),
        (role.WindowText, colours.text),
        (role.Text, colours.text),
        (role.ButtonText, colours.text),
        (role.ToolTipBase, colours.surface),
        (role.ToolTipText, colours.text),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.on_accent),
        (role.Link, colours.accent),
        (role.PlaceholderText, colours.muted),
    ):
        palette.setColor(place, QColor(colour))
    for place in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, place, QColor(colours.disabled))
    return palette
