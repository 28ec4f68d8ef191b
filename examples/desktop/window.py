"""The window: what a person does goes to the desk, and what is on the desk is shown."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QMainWindow,
    QMessageBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from desktop.about import about_text
from desktop.actions import Actions
from desktop.bundles import find_built_in, find_example
from desktop.controls import Controls
from desktop.desk import Desk
from desktop.document_list import DocumentList
from desktop.document_pane import DocumentPane, files_of
from desktop.events import BundleFacts, Event, Opened
from desktop.header import Header
from desktop.notice_bar import NoticeBar
from desktop.notices import Notice
from desktop.preferences import Preferences
from desktop.restyle import restyle
from desktop.save_summaries import text_of
from desktop.summary_pane import SummaryPane
from desktop.theme import Theme, apply_theme, is_dark
from desktop.worker import Load

__all__ = ["Window"]

_NARROW_PIXELS = 860


class _Bridge(QObject):
    """From the worker's thread to the window's: Qt queues what is emitted in another thread."""

    told = Signal(object)


class Window(QMainWindow):
    """One window, with a desk behind it."""

    def __init__(self, load: Load, preferences: Preferences) -> None:
        super().__init__()
        self.setWindowTitle("pegasus-edge")
        self.setMinimumSize(380, 420)
        self.resize(1040, 660)
        self.setAcceptDrops(True)
        self.preferences = preferences
        self.commands = Actions(self)
        self.header = Header(self.commands)
        self.notice = NoticeBar(can_be_closed=True)
        self.documents = DocumentList()
        self.document = DocumentPane(has_example=find_example() is not None)
        self.summary = SummaryPane(self.commands.copy, self.commands.save)
        self.controls = Controls()
        self._lay_out()
        self._bridge = _Bridge()
        self._bridge.told.connect(self.hear)
        self.desk = Desk(load, self._bridge.told.emit)
        self._connect_commands()
        self._connect_parts()
        self.set_theme(preferences.theme)
        self.restoreGeometry(preferences.geometry)
        self.show_all()
        self.document.setFocus()

    # What a person asks for.

    def open_bundle(self, folder: Path) -> None:
        """Loads a model; the window stays usable meanwhile."""
        self.desk.open_bundle(folder)
        self.show_all()

    def add_files(self, paths: list[Path]) -> None:
        """Puts text files, and those in folders, on the desk."""
        self.desk.add_files(paths)
        self.show_all()

    def start(self) -> None:
        self.desk.start(self.controls.options)
        self.show_all()

    def cancel(self) -> None:
        self.desk.cancel()
        self.show_all()

    def copy(self) -> None:
        QGuiApplication.clipboard().setText(self.desk.shelf.current.written)
        self.desk.status = "Copied"
        self.show_all()

    def save(self) -> None:
        entry = self.desk.shelf.current
        self._save(f"{Path(entry.name).stem} summary.txt", entry.written + "\n")

    def save_all(self) -> None:
        self._save("summaries.txt", text_of(self.desk.shelf.written))

    def set_theme(self, theme: Theme) -> None:
        """Light, dark, or as the system is."""
        self.preferences.theme = theme
        self.commands.themes[theme].setChecked(True)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        apply_theme(application, theme)
        self.header.show_theme(is_dark=is_dark(theme))

    def hear(self, event: Event) -> None:
        """Takes in what the worker tells, in the window's thread."""
        changed = self.desk.hear(event)
        if isinstance(event, Opened):
            self._remember(event.facts)
            self.controls.show_facts(event.facts)
        if changed == "text":
            self.summary.show_entry(self.desk.shelf.current, self.desk.facts)
        elif changed == "all":
            self.show_all()

    # What is shown.

    def show_all(self) -> None:
        """Everything, as the desk has it."""
        desk, entry = self.desk, self.desk.shelf.current
        self._enable_commands()
        self.notice.show_notice(Notice(kind="error", text=desk.problem) if desk.problem else None)
        self.documents.show_shelf(desk.shelf)
        self.document.show_entry(entry, is_locked=entry.is_in_work)
        self.summary.show_entry(entry, desk.facts)
        self.header.show_model(desk.facts, is_loading=desk.is_loading)
        if desk.is_running:
            self.controls.show_progress(desk.shelf.progress)
        else:
            self.controls.show_idle(desk.hint, can_start=desk.can_start)

    def _enable_commands(self) -> None:
        commands, desk, entry = self.commands, self.desk, self.desk.shelf.current
        can_put_away = not desk.is_running and not desk.is_empty
        commands.start.setEnabled(desk.can_start)
        commands.cancel.setEnabled(desk.is_running)
        commands.clear.setEnabled(can_put_away)
        commands.remove.setEnabled(can_put_away)
        commands.choose_model.setEnabled(not desk.is_running and not desk.is_loading)
        commands.copy.setEnabled(bool(entry.written))
        commands.save.setEnabled(entry.summary is not None)
        commands.save_all.setEnabled(len(desk.shelf.written) > 1)

    def _remember(self, facts: BundleFacts) -> None:
        """The model to begin with next time; the built-in one moves with the program."""
        is_built_in = facts.folder == find_built_in()
        self.preferences.bundle = "" if is_built_in else str(facts.folder)
        if not is_built_in:
            self.preferences.add_recent(facts.folder)

    # How it hangs together.

    def _lay_out(self) -> None:
        self.splitter = QSplitter()
        self.splitter.setHandleWidth(10)
        self.splitter.setChildrenCollapsible(False)
        for widget, stretch in ((self.documents, 2), (self.document, 5), (self.summary, 5)):
            self.splitter.addWidget(widget)
            self.splitter.setStretchFactor(self.splitter.count() - 1, stretch)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(14, 10, 14, 14)
        layout.setSpacing(10)
        layout.addWidget(self.header)
        layout.addWidget(self.notice)
        layout.addWidget(self.splitter, 1)
        layout.addWidget(self.controls)
        self.setCentralWidget(centre)

    def _connect_commands(self) -> None:
        commands = self.commands
        for action, do in (
            (commands.open, self._ask_files),
            (commands.clear, self._clear),
            (commands.remove, self._remove),
            (commands.choose_model, self._ask_bundle),
            (commands.save, self.save),
            (commands.save_all, self.save_all),
            (commands.quit, self.close),
            (commands.start, self.start),
            (commands.cancel, self.cancel),
            (commands.copy, self.copy),
            (commands.switch_theme, self._switch_theme),
            (commands.about, self._tell_about),
        ):
            action.triggered.connect(lambda _=False, do=do: do())
        for theme, action in commands.themes.items():
            action.triggered.connect(lambda _=False, theme=theme: self.set_theme(theme))

    def _connect_parts(self) -> None:
        self.header.bundle_asked.connect(self.open_bundle)
        self.header.menu.aboutToShow.connect(self._show_choice)  # which looks at disks
        self.notice.dismissed.connect(self._dismiss)
        self.document.open_asked.connect(self._ask_files)
        self.document.empty.example_asked.connect(self._add_example)
        self.document.files_given.connect(self.add_files)
        self.document.edited.connect(self._on_edited)
        self.documents.chosen.connect(self._on_chosen)
        self.controls.run_asked.connect(self.start)
        self.controls.cancel_asked.connect(self.cancel)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_system_theme)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus)

    def _show_choice(self) -> None:
        self.header.show_choice(self.preferences.recent, find_built_in())

    def _on_system_theme(self) -> None:
        if self.preferences.theme == "system":
            self.set_theme("system")

    def _on_focus(self, _before: QWidget | None, now: QWidget | None) -> None:
        for card in (self.documents, self.document, self.summary):
            has_it = now is not None and (now is card or card.isAncestorOf(now))
            restyle(card, "focused", has_it)

    def _on_edited(self, text: str) -> None:
        self.desk.shelf.edit(text)
        self.desk.status = ""
        self.show_all()

    def _on_chosen(self, row: int) -> None:
        self.desk.shelf.look_at(self.desk.shelf.entries[row])
        self.show_all()

    def _switch_theme(self) -> None:
        self.set_theme("light" if is_dark(self.preferences.theme) else "dark")

    def _dismiss(self) -> None:
        self.desk.problem = ""
        self.show_all()

    def _add_example(self) -> None:
        example = find_example()
        if example is not None:
            self.add_files([example])
            self.controls.start.setFocus()

    def _clear(self) -> None:
        self.desk.shelf.clear()
        self._dismiss()

    def _remove(self) -> None:
        self.desk.shelf.remove(self.desk.shelf.current)
        self._dismiss()

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(
            self, "Open text files", "", "Texts (*.txt *.md);;All files (*)"
        )
        if names:
            self.add_files([Path(name) for name in names])

    def _ask_bundle(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "The folder of a model (pegasus-export's)")
        if name:
            self.open_bundle(Path(name))

    def _save(self, name: str, text: str) -> None:
        target, _ = QFileDialog.getSaveFileName(self, "Save", name, "Texts (*.txt)")
        if target:
            self.desk.save(Path(target), text)
            self.show_all()

    def _tell_about(self) -> None:
        QMessageBox.about(self, "About", about_text())

    # Qt's events.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  Qt's names
        if files_of(event.mimeData()):
            event.acceptProposedAction()
            self.document.show_dropping(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        self.document.show_dropping(False)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self.document.show_dropping(False)
        event.acceptProposedAction()
        self.add_files(files_of(event.mimeData()))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        is_narrow = event.size().width() < _NARROW_PIXELS
        vertical, horizontal = Qt.Orientation.Vertical, Qt.Orientation.Horizontal
        self.splitter.setOrientation(vertical if is_narrow else horizontal)
        for part in (self.header, self.documents, self.controls):
            part.set_narrow(is_narrow)
        super().resizeEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """The window goes at once; the worker, when the engine lets go."""
        self.preferences.geometry = self.saveGeometry()
        self.hide()
        self.desk.close()
        super().closeEvent(event)
