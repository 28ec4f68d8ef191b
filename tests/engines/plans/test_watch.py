"""What TensorRT says and reports while it builds, with a library that is faked."""

import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pegasus_engines.plans.watch import BuildLog, make_monitor, record_build, silent


def library() -> ModuleType:
    module = ModuleType("tensorrt")
    vars(module).update(ILogger=object, IProgressMonitor=object)
    return module


def severity(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name)


def test_the_first_error_is_the_reason_in_one_line_of_bearable_length() -> None:
    log = BuildLog(None, None)
    assert log.explain() == "it gave no reason"
    log.write("WARNING", "no error")
    log.write("ERROR", "the\n  cause" + "!" * 1000)
    log.write("INTERNAL_ERROR", "a consequence")
    assert log.explain() == "the cause" + "!" * 391 + "..."
    assert log.errors[1:] == ["a consequence"]


def test_messages_are_appended_to_the_file_that_the_reason_names(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_text("earlier\n")
    with record_build(library(), path) as (logger, log):
        logger.log(severity("VERBOSE"), "details")
        logger.log(severity("ERROR"), "cause")
    assert path.read_text() == "earlier\n[VERBOSE] details\n[ERROR] cause\n"
    assert log.explain() == f"cause (all messages: {path})"


def test_a_library_has_one_logger_and_each_build_its_log() -> None:
    module = library()
    with record_build(module, None) as (first_logger, first):
        first_logger.log(severity("ERROR"), "one")
    first_logger.log(severity("ERROR"), "nobody listens")
    with record_build(module, None) as (second_logger, second):
        second_logger.log(severity("ERROR"), "two")
    assert first_logger is second_logger
    assert (first.errors, second.errors) == (["one"], ["two"])


def test_builds_wait_for_each_other() -> None:
    entered = threading.Event()

    def build() -> None:
        with record_build(library(), None):
            entered.set()

    other = threading.Thread(target=build)
    with record_build(library(), None):
        other.start()
        assert not entered.wait(0.05)
    assert entered.wait(10)
    other.join()


def test_a_log_that_cannot_be_written_stops_no_later_build(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), record_build(library(), tmp_path / "no" / "log"):
        pass
    with record_build(library(), None) as (_, log):
        assert log.errors == []


def test_only_phases_without_a_parent_are_reported() -> None:
    seen: list[tuple[int, int]] = []
    monitor = make_monitor(library(), lambda done, total: seen.append((done, total)))
    monitor.phase_start("build", None, 2)
    monitor.phase_start("optimise", "build", 30)
    assert monitor.step_complete("optimise", 0)
    assert monitor.step_complete("build", 0)
    monitor.phase_finish("optimise")
    monitor.phase_finish("build")
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_cancelled_build_ends_at_its_next_step() -> None:
    monitor = make_monitor(library(), silent)
    monitor.phase_start("build", None, 2)
    assert monitor.step_complete("build", 0)
    monitor.cancelled = True
    assert not monitor.step_complete("optimise", 0)
