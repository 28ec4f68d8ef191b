"""What signals do: one line, the signal's exit code, whole lines, and nothing left to clean up."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from runtime.command_line.scripts import TIMEOUT_S, start

LINE = 1_000_000  # bytes, more than a pipe holds
WRITES = f"write_result('ready\\n'); write_result('x' * {LINE} + '\\n'); write_result('next\\n')"
ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
INTERRUPTED = b"pegasus-test: error: interrupted\n"
# An import that fails as libraries in C do when a signal comes: with no word of the signal.
SLOW_IMPORT = """
import time
write_result('ready\\n')
try:
    time.sleep(60)
except BaseException:
    raise ImportError('DLL load failed') from None
"""


def wait_for(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.read(6) == b"ready\n"


@pytest.mark.parametrize("number", ALL)
def test_a_signal_while_a_command_imports_ends_it_with_one_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, "pass", top=SLOW_IMPORT)
    wait_for(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, err) == (128 + number, b"", INTERRUPTED)


def test_a_signal_that_became_an_import_error_is_told_as_the_signal(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(f"from tested import write_result\n{SLOW_IMPORT}")
    body = "import sys; sys.modules['tested'] = sys.modules[__name__]"
    process = start(tmp_path, f"{body}\n    with UnwindOnSignals(): import slow")
    wait_for(process)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=TIMEOUT_S) == (b"", INTERRUPTED)
    assert process.returncode == 143


@pytest.mark.parametrize("number", ALL)
def test_what_has_to_be_cleaned_up_is(tmp_path: Path, number: signal.Signals) -> None:
    body = """
    import pathlib, time
    try:
        with UnwindOnSignals():
            write_result('ready\\n')
            time.sleep(60)
    finally:
        pathlib.Path(__file__).with_name('cleaned').touch()
    """.strip()
    process = start(tmp_path, body)
    wait_for(process)
    process.send_signal(number)
    assert process.communicate(timeout=TIMEOUT_S) == (b"", INTERRUPTED)
    assert process.returncode == 128 + number
    assert (tmp_path / "cleaned").exists()


NATIVE = "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"  # minutes, and no handler is called


@pytest.mark.parametrize("number", ALL)
def test_a_signal_while_a_library_runs_ends_it_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, f"import hashlib; write_result('ready\\n'); {NATIVE}")
    wait_for(process)
    time.sleep(0.05)
    process.send_signal(number)
    assert process.communicate(timeout=5) == (b"", INTERRUPTED)
    assert process.returncode == 128 + number


def test_what_has_to_be_cleaned_up_is_waited_for_while_a_library_runs(tmp_path: Path) -> None:
    seconds = "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**6)"
    body = f"""
    import hashlib, pathlib
    try:
        with UnwindOnSignals():
            write_result('ready\\n')
            {seconds}
    finally:
        pathlib.Path(__file__).with_name('cleaned').touch()
    """.strip()
    process = start(tmp_path, body)
    wait_for(process)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=TIMEOUT_S) == (b"", INTERRUPTED)
    assert process.returncode == 143
    assert (tmp_path / "cleaned").exists()


def test_a_line_that_a_slow_disk_takes_is_waited_for(tmp_path: Path) -> None:
    seconds = "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**6)"  # no handler is called
    body = f"""
    import hashlib, os
    from pegasus_runtime.command_line.signals import HoldSignals
    with HoldSignals():
        os.write(1, b'ready\\n')
        {seconds}
        os.write(1, b'and whole\\n')
    """.strip()
    process = start(tmp_path, body)
    wait_for(process)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=TIMEOUT_S) == (b"and whole\n", INTERRUPTED)
    assert process.returncode == 143


def wait_until_stalled(process: subprocess.Popen[bytes]) -> None:
    """Until it sleeps in the middle of a line, which the pipe is too small for."""
    state = Path(f"/proc/{process.pid}/wchan")
    deadline = time.monotonic() + TIMEOUT_S
    while "pipe" not in state.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="no /proc here")
@pytest.mark.parametrize("number", ALL)
def test_a_line_is_written_whole_when_its_reader_stalls_and_a_signal_comes(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, WRITES)
    wait_for(process)
    wait_until_stalled(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (128 + number, INTERRUPTED)
    assert (len(out), out[-1:]) == (LINE + 1, b"\n")


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="no /proc here")
def test_a_second_signal_does_not_wait_for_a_reader(tmp_path: Path) -> None:
    process = start(tmp_path, WRITES)
    wait_for(process)
    wait_until_stalled(process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=TIMEOUT_S) == 130
    process.communicate()


def test_nothing_of_a_line_is_written_when_a_signal_comes_before_it(tmp_path: Path) -> None:
    """The pipe is full of whole lines: one signal is enough, whoever reads."""
    body = "write_result('ready\\n')\n    while True: write_result('x' * 99 + '\\n')"
    process = start(tmp_path, body)
    wait_for(process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=TIMEOUT_S) == 130
    out, _ = process.communicate()
    assert out
    assert set(out.splitlines(keepends=True)) == {b"x" * 99 + b"\n"}


def test_signals_that_are_to_be_ignored_stay_ignored(tmp_path: Path) -> None:
    """As with nohup."""
    process = start(
        tmp_path,
        "import sys; write_result('ready\\n'); sys.stdin.readline(); write_result('done')",
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for(process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(b"\n", timeout=TIMEOUT_S) == (b"done", b"")
    assert process.returncode == 0


def test_on_a_terminal_the_line_of_progress_makes_room(tmp_path: Path) -> None:
    screen, terminal = os.openpty()
    body = "import sys, time; sys.stderr.write('1 of 3'); sys.stderr.flush(); "
    process = start(tmp_path, body + "write_result('ready\\n'); time.sleep(60)", stderr=terminal)
    os.close(terminal)
    wait_for(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT_S)
    shown = b""
    while not shown.endswith(b"\n"):  # a busy system hands it over in pieces
        shown += os.read(screen, 999)
    assert shown == b"1 of 3\r\x1b[K" + INTERRUPTED.replace(b"\n", b"\r\n")
    os.close(screen)
