"""The window, as a person and the worker use it, on no screen: make desktop-test."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.fake_desktop_summarizer import FACTS, FakeSummarizer, load_fake

WHY = "PySide6 and pytest-qt are not installed, or lack a library: make desktop-test installs them"
pytest.importorskip("PySide6.QtWidgets", reason=WHY, exc_type=ImportError)
pytest.importorskip("pytestqt", reason=WHY)

from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
    QTextCursor,
    QTextOption,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QFileDialog,
    QListWidget,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from desktop.about import PARTS, about_text
from desktop.actions import THEMES
from desktop.preferences import Preferences
from desktop.theme import DARK, LIGHT, Colours
from desktop.window import Window

WAIT_MS = 10_000


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["pytest", "-style", "Fusion"]


@pytest.fixture
def preferences(tmp_path: Path) -> Preferences:
    return Preferences(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))


@pytest.fixture
def fake() -> FakeSummarizer:
    return FakeSummarizer()


@pytest.fixture
def window(qtbot: QtBot, preferences: Preferences, fake: FakeSummarizer) -> Iterator[Window]:
    """Shown, with a model loaded."""
    window = Window(load_fake(fake), preferences)
    window.show()
    window.open_bundle(Path("bundle"))
    qtbot.waitUntil(lambda: window.desk.facts is not None, timeout=WAIT_MS)
    yield window
    fake.is_free.set()
    window.close()
    window.deleteLater()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[Path]]:
    """Texts by their files' names."""

    def make(**texts: str) -> list[Path]:
        files = [tmp_path / f"{name}.txt" for name in texts]
        for file, text in zip(files, texts.values(), strict=True):
            file.write_text(text)
        return files

    return make


def summarise(window: Window, qtbot: QtBot) -> None:
    qtbot.mouseClick(window.controls.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=WAIT_MS)


def drop(window: Window, files: list[Path]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    left = Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(9, 9), copy, data, left, none)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    assert window.document.property("dropping")
    QApplication.sendEvent(window, QDropEvent(QPointF(9, 9), copy, data, left, none))
    assert not window.document.property("dropping")


def test_an_empty_window_says_what_to_do_and_nothing_can_be_started(window: Window) -> None:
    assert window.document.empty.isVisible()
    assert not window.controls.start.isEnabled()
    assert not window.controls.cancel.isEnabled()
    assert not window.summary.copy_button.isEnabled()
    assert not window.documents.isVisible()
    assert window.document.editor.hasFocus() or not window.isActiveWindow()


def test_a_text_that_is_typed_is_summarised(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClicks(window.document.editor, "A red boat sails. It is red.")
    assert not window.document.empty.isVisible()
    assert window.document.count.text() == "7 words"
    summarise(window, qtbot)
    assert window.summary.text.toPlainText() == "A red boat sails."
    assert window.summary.details.text() == "4 words · 4 tokens · 0.25 s"
    assert not window.summary.notice.isVisible()
    assert window.controls.status.text() == "Done"


def test_files_that_are_dropped_are_summarised_one_after_the_other(
    window: Window, qtbot: QtBot, write: Callable[..., list[Path]]
) -> None:
    drop(window, write(one="A red boat.", two="Snow falls."))
    assert window.documents.isVisible()
    summarise(window, qtbot)
    rows = [window.documents.item(row).text() for row in range(window.documents.count())]
    assert rows == ["✓  one.txt", "✓  two.txt"]
    assert window.summary.text.toPlainText() == "Snow falls."
    window.documents.setCurrentRow(0)
    assert window.summary.text.toPlainText() == "A red boat."
    assert window.document.title.text() == "one.txt"
    assert window.controls.status.text() == "2 of 2 summarised"


def test_files_that_are_pasted_are_opened_and_pasted_text_is_plain(
    window: Window, write: Callable[..., list[Path]]
) -> None:
    data = QMimeData()
    data.setHtml("<b>Snow</b> falls.")
    data.setText("Snow falls.")
    window.document.editor.insertFromMimeData(data)
    assert window.desk.shelf.current.text == "Snow falls."
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(write(one="A red boat.")[0]))])
    assert window.document.editor.canInsertFromMimeData(data)
    window.document.editor.insertFromMimeData(data)
    assert [entry.name for entry in window.desk.shelf.entries] == ["Pasted text", "one.txt"]


def test_a_text_without_spaces_does_not_stop_the_window(
    window: Window, write: Callable[..., list[Path]]
) -> None:
    editor = window.document.editor
    anywhere = QTextOption.WrapMode.WrapAnywhere
    window.add_files(write(words="Snow falls. " * 10_000))
    assert editor.wordWrapMode() != anywhere
    window.add_files(write(line="x" * 100_000))  # seconds otherwise, and minutes for a megabyte
    assert editor.wordWrapMode() == anywhere
    pasted = QMimeData()
    pasted.setText("y" * 6_000)
    window._clear()
    assert editor.wordWrapMode() != anywhere
    editor.insertFromMimeData(pasted)
    assert editor.wordWrapMode() == anywhere
    assert len(editor.toPlainText()) == 6_000


def test_partial_text_and_progress_are_shown_while_it_runs(
    window: Window, qtbot: QtBot, fake: FakeSummarizer, write: Callable[..., list[Path]]
) -> None:
    window.add_files(write(one="A slow boat sails. It is red."))
    window.start()
    qtbot.waitUntil(lambda: window.summary.text.toPlainText() == "A slow", timeout=WAIT_MS)
    assert window.controls.bar.isVisible()
    assert window.controls.bar.value() == round(1000 * 2 / FACTS.max_length)
    assert window.controls.status.text() == "Writing: 2 tokens of at most 64"
    assert window.document.editor.isReadOnly()
    assert not window.controls.start.isEnabled()
    assert not window.header.model.isEnabled()
    cursor = window.summary.text.textCursor()
    cursor.movePosition(QTextCursor.MoveOperation.Start)
    cursor.movePosition(QTextCursor.MoveOperation.NextWord, QTextCursor.MoveMode.KeepAnchor)
    window.summary.text.setTextCursor(cursor)
    fake.is_free.set()
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=WAIT_MS)
    assert window.summary.text.textCursor().selectedText() == "A "  # what was selected stays so
    assert window.summary.text.toPlainText() == "A slow boat sails."
    assert not window.controls.bar.isVisible()


def test_the_bar_has_no_end_while_a_document_is_read(window: Window) -> None:
    window.desk.shelf.edit("Snow falls.")
    window.desk.shelf.begin(9, window.desk.shelf.pending)
    window.show_all()
    assert (window.controls.bar.minimum(), window.controls.bar.maximum()) == (0, 0)


@pytest.mark.parametrize("text", ["A slow boat sails.", "A slow and late boat sails."])
def test_escape_cancels_at_once(
    window: Window, qtbot: QtBot, fake: FakeSummarizer, write: Callable[..., list[Path]], text: str
) -> None:
    window.add_files(write(one=text))
    window.start()
    qtbot.waitUntil(lambda: window.summary.text.toPlainText() == "A slow", timeout=WAIT_MS)
    window.commands.cancel.trigger()
    assert window.controls.status.text() == "Cancelled"
    assert window.controls.start.isEnabled()
    assert window.summary.notice.label.text() == "Cancelled: this is no whole summary."
    assert window.summary.text.toPlainText() == "A slow"
    assert not window.summary.save_button.isEnabled()


def test_keys_start_and_cancel_from_within_the_text(
    window: Window, qtbot: QtBot, fake: FakeSummarizer
) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=WAIT_MS)
    editor = window.document.editor
    qtbot.keyClicks(editor, "A slow boat sails.")
    qtbot.keyClick(editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert window.desk.is_running
    assert fake.is_held.wait(10)
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert not window.desk.is_running
    assert editor.toPlainText() == "A slow boat sails."


def test_what_is_inside_is_told_with_its_version_and_licence(window: Window) -> None:
    lines = about_text().splitlines()
    assert lines[0].startswith("pegasus-edge ")
    assert re.fullmatch(r"Qt for Python [\d.]+, LGPL-3\.0", lines[2])
    assert len(lines) == 2 + len(PARTS)


def test_closing_while_it_runs_ends_the_worker(
    window: Window, qtbot: QtBot, fake: FakeSummarizer, write: Callable[..., list[Path]]
) -> None:
    window.add_files(write(one="A slow boat sails."))
    window.start()
    assert fake.is_held.wait(10)
    window.close()
    assert fake.is_closed
    assert not window.isVisible()
    assert "summarizer" not in {thread.name for thread in threading.enumerate()}


def test_what_is_to_be_known_of_a_summary_stands_above_it(
    window: Window, qtbot: QtBot, write: Callable[..., list[Path]]
) -> None:
    window.add_files(write(one="A long unknown text.", two="fail."))
    summarise(window, qtbot)
    window.documents.setCurrentRow(0)
    assert window.summary.notice.label.text() == (
        "The document is longer than the 512 tokens that this model reads: its end was left out. "
        "This model does not know 40 % of the document's characters: the summary may well be "
        "made up."
    )
    window.documents.setCurrentRow(1)
    assert window.summary.notice.label.text() == "No summary: ValueError: a broken summarizer"
    assert window.summary.notice.property("notice") == "error"


def test_what_goes_wrong_stays_until_it_is_dismissed(window: Window, qtbot: QtBot) -> None:
    window.open_bundle(Path("broken"))
    assert window.header.model.text().startswith("Loading")
    qtbot.waitUntil(lambda: not window.desk.is_loading, timeout=WAIT_MS)
    assert window.notice.isVisible()
    assert window.notice.label.text().startswith("This model cannot be loaded: broken: there is no")
    assert window.header.model.text().startswith("pegasus-mini · int8")
    window.show_all()
    assert window.notice.isVisible()
    qtbot.mouseClick(window.notice.findChild(QAbstractButton), Qt.MouseButton.LeftButton)
    assert not window.notice.isVisible()


def test_the_fields_begin_with_the_models_own_and_only_differences_are_asked_for(
    window: Window, qtbot: QtBot, fake: FakeSummarizer, write: Callable[..., list[Path]]
) -> None:
    controls = window.controls
    values = (controls.shortest.value(), controls.longest.value(), controls.beams.value())
    assert values == (FACTS.min_length, FACTS.max_length, FACTS.num_beams)
    assert (controls.longest.maximum(), controls.beams.maximum()) == (128, 32)
    controls.longest.setValue(40)
    assert controls.shortest.maximum() == 40
    controls.beams.setValue(2)
    window.add_files(write(one="Snow falls."))
    summarise(window, qtbot)
    (asked,) = fake.options
    assert asked is not None
    changed = {k: v for k, v in dataclasses.asdict(asked).items() if v is not None}
    assert changed == {"max_length": 40, "num_beams": 2}
    controls.reset.click()
    assert (controls.longest.value(), controls.beams.value()) == (64, 8)


def test_a_summary_is_copied_and_saved(
    window: Window,
    qtbot: QtBot,
    tmp_path: Path,
    write: Callable[..., list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window.add_files(write(one="A red boat.", two="Snow falls."))
    summarise(window, qtbot)
    window.summary.copy_button.click()
    assert QGuiApplication.clipboard().text() == "Snow falls."
    assert window.controls.status.text() == "Copied"
    target = tmp_path / "saved.txt"
    offered = []

    def ask(_window: QWidget, _title: str, name: str, _kinds: str) -> tuple[str, str]:
        offered.append(name)
        return str(target), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)  # it would wait for a person
    window.summary.save_button.click()
    assert target.read_text("utf-8") == "Snow falls.\n"
    window.commands.save_all.trigger()
    assert target.read_text("utf-8") == "one.txt\nA red boat.\n\ntwo.txt\nSnow falls.\n"
    assert offered == ["two summary.txt", "summaries.txt"]
    assert window.controls.status.text() == "Saved saved.txt"


def test_a_text_that_is_only_looked_at_stays_as_it_is(
    window: Window, qtbot: QtBot, write: Callable[..., list[Path]]
) -> None:
    odd = "A\u00a0red boat.\u2028It sails."  # which Qt's editor gives back as other spaces
    window.add_files(write(one=odd, two="Snow falls."))
    summarise(window, qtbot)
    for row in (0, 1, 0):
        window.documents.setCurrentRow(row)
    first = window.desk.shelf.entries[0]
    assert (first.text, first.state) == (odd, "done")
    window.document.editor.insertPlainText("x")
    assert (first.state, window.summary.text.toPlainText()) == ("new", "")


def test_documents_are_put_away(window: Window, write: Callable[..., list[Path]]) -> None:
    window.add_files(write(one="A red boat.", two="Snow falls."))
    window.commands.remove.trigger()
    assert [entry.name for entry in window.desk.shelf.entries] == ["two.txt"]
    window.commands.clear.trigger()
    assert window.document.empty.isVisible()
    assert not window.commands.clear.isEnabled()


def test_the_theme_is_switched_remembered_and_else_the_systems(
    window: Window, qtbot: QtBot, preferences: Preferences
) -> None:
    def colour() -> str:
        return window.palette().window().color().name()

    assert preferences.theme == "system"
    assert colour() == LIGHT.window
    qtbot.mouseClick(window.header.theme, Qt.MouseButton.LeftButton)
    assert (colour(), preferences.theme) == (DARK.window, "dark")
    assert window.header.theme.text() == "Light"  # where it leads
    window.commands.switch_theme.trigger()
    assert (colour(), preferences.theme) == (LIGHT.window, "light")
    window.set_theme("system")
    # A system that turns dark: Qt tells it by this signal, and by this property.
    QGuiApplication.styleHints().setColorScheme(Qt.ColorScheme.Dark)
    if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark:
        assert colour() == DARK.window
    assert {theme for theme, _ in THEMES} == {"system", "light", "dark"}


def luminance(colour: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in QColor(colour).getRgbF()[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_can_be_read_on_what_they_stand_on(colours: Colours) -> None:
    pairs = [
        (text, ground)
        for text in (colours.text, colours.muted)
        for ground in (colours.window, colours.surface, colours.field)
    ]
    pairs += [
        (colours.text, colours.hover),
        (colours.on_accent, colours.accent),
        (colours.on_accent, colours.accent_hover),
        (colours.on_warning, colours.warning),
        (colours.on_error, colours.error),
    ]
    for text, ground in pairs:
        low, high = sorted((luminance(text), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_everything_that_takes_keys_has_a_name_that_is_read_out(window: Window) -> None:
    kinds = (QAbstractButton, QAbstractSpinBox, QPlainTextEdit, QTextEdit, QListWidget)
    unnamed = [
        widget
        for widget in window.findChildren(QWidget)
        if isinstance(widget, kinds)
        and widget.focusPolicy() != Qt.FocusPolicy.NoFocus
        and not QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
    ]
    assert unnamed == []


def test_every_command_has_a_key_of_its_own(window: Window) -> None:
    without = ("about", "themes", "_window")
    commands = [value for name, value in vars(window.commands).items() if name not in without]
    keys = [command.shortcut().toString() for command in commands]
    assert "" not in keys
    assert len(set(keys)) == len(keys)
    assert window.commands.start.shortcut() == QKeySequence("Ctrl+Return")


@pytest.mark.parametrize("width", [380, 640, 1040])
def test_nothing_is_cut_off_in_a_narrow_window(
    window: Window, qtbot: QtBot, width: int, write: Callable[..., list[Path]]
) -> None:
    window.resize(width, 700)
    window.add_files(write(one="A long unknown text.\n" * 99, **{"x" * 90: "Snow falls."}))
    summarise(window, qtbot)
    window.documents.setCurrentRow(0)
    for _ in range(5):
        QApplication.processEvents()
    assert window.width() == width
    centre = window.centralWidget()
    for widget in window.controls.findChildren(QAbstractButton):
        right = widget.mapTo(centre, widget.rect().topRight()).x()
        assert right <= width
        assert widget.width() >= widget.sizeHint().width()
    for text in (window.document.editor, window.summary.text):
        assert not text.horizontalScrollBar().isVisible()
    label = window.summary.notice.label
    assert label.height() >= label.heightForWidth(label.width())


def test_a_right_to_left_text_begins_on_the_right(window: Window, qtbot: QtBot) -> None:
    window.document.editor.setPlainText("שלום עולם.")
    summarise(window, qtbot)
    block = window.summary.text.document().firstBlock()
    assert block.textDirection() == Qt.LayoutDirection.RightToLeft


def test_what_was_chosen_is_remembered_and_what_is_gone_is_not_offered(
    window: Window, qtbot: QtBot, preferences: Preferences, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "manifest.json").touch()
        window.open_bundle(folder)
        qtbot.waitUntil(lambda: not window.desk.is_loading, timeout=WAIT_MS)
    assert preferences.bundle == str(folders[1])
    assert preferences.recent == folders[::-1]
    window.header.menu.aboutToShow.emit()
    offered = [action.text() for action in window.header.menu.actions() if action.text()]
    assert offered[-3:] == ["second", "first", "Choose &model…"]
    window.header.menu.actions()[-3].trigger()
    qtbot.waitUntil(lambda: not window.desk.is_loading, timeout=WAIT_MS)
    assert window.desk.facts is not None
    assert window.desk.facts.folder == folders[0]
    (folders[0] / "manifest.json").unlink()
    assert preferences.recent == folders[1:]
