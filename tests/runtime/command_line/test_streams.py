"""Standard streams that are closed, full, or without a reader: notes are lost, results are not."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime.command_line.streams import ResultError, write_result
from runtime.command_line.scripts import TIMEOUT_S, start, without_reader

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
SAYS_AND_WRITES = "note('pegasus-test', 'a note'); write_result('a result\\n')"


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed(*descriptors: int) -> dict[str, Any]:
    return {"preexec_fn": lambda: [os.close(each) for each in descriptors]}


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out or b"", err or b""


@pytest.mark.parametrize(
    "stderr", [pytest.param(full, marks=needs_full), without_reader], ids=["full", "no reader"]
)
def test_a_note_that_cannot_be_shown_stops_nothing(
    tmp_path: Path, stderr: Callable[[], int]
) -> None:
    descriptor = stderr()
    process = start(
        tmp_path, f"import sys; sys.stderr.write('x'); {SAYS_AND_WRITES}", stderr=descriptor
    )
    os.close(descriptor)
    assert finish(process) == (0, b"a result\n", b"")


def test_what_is_meant_for_a_closed_standard_error_goes_nowhere_else(tmp_path: Path) -> None:
    body = f"import sys; print('x', file=sys.stderr); {SAYS_AND_WRITES}; raise MemoryError('none')"
    assert finish(start(tmp_path, body, **closed(2))) == (1, b"a result\n", b"")


def test_no_file_gets_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    body = "write_result(str(open('/dev/null').fileno() > 2))"
    assert finish(start(tmp_path, body, **closed(0, 2)))[:2] == (0, b"True")
    body = "import os; os._exit(40 + open('/dev/null').fileno())"
    assert finish(start(tmp_path, body, **closed(0, 1, 2)))[0] > 42


def test_descriptors_are_open_in_what_a_command_starts(tmp_path: Path) -> None:
    child = "import os, sys; os.fstat(0), os.fstat(1), os.fstat(2); sys.exit(7)"
    body = f"import subprocess, sys; return subprocess.call([sys.executable, '-c', {child!r}])"
    assert finish(start(tmp_path, body, **closed(0, 1, 2)))[0] == 7


@needs_full
def test_a_result_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    descriptor = full()
    code, _, err = finish(start(tmp_path, SAYS_AND_WRITES, stdout=descriptor))
    os.close(descriptor)
    assert (code, err.decode()) == (
        1,
        "pegasus-test: a note\npegasus-test: error: standard output cannot be written: No space "
        "left on device: free some space, or send it somewhere else\n",
    )
    code, _, err = finish(start(tmp_path, SAYS_AND_WRITES, **closed(1)))
    assert code == 1
    assert b"standard output cannot be written: Bad file descriptor: " in err


def test_a_reader_of_results_that_has_gone_ends_it_quietly(tmp_path: Path) -> None:
    descriptor = without_reader()
    code, _, err = finish(start(tmp_path, SAYS_AND_WRITES, stdout=descriptor))
    os.close(descriptor)
    assert (code, err) == (0, b"pegasus-test: a note\n")


def test_a_pipe_elsewhere_that_breaks_is_not_taken_for_the_reader_of_results(
    tmp_path: Path,
) -> None:
    body = "import os; a, b = os.pipe(); os.close(a); os.write(b, b'x')"
    code, out, err = finish(start(tmp_path, body))
    assert (code, out) == (2, b"")
    assert err == b"pegasus-test: error: Broken pipe: check the path\n"


@needs_full
def test_what_a_library_printed_in_vain_is_no_traceback_at_the_end(tmp_path: Path) -> None:
    descriptor = full()
    process = start(tmp_path, "print('of a library')", stdout=descriptor)
    os.close(descriptor)
    assert finish(process) == (0, b"", b"")


def test_output_that_does_not_block_is_written_whole(tmp_path: Path) -> None:
    body = "import os; os.set_blocking(1, False); write_result('x' * 500_000 + '\\n')"
    code, out, _ = finish(start(tmp_path, body))
    assert (code, len(out)) == (0, 500_001)


def test_a_process_without_standard_output_cannot_take_a_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ResultError, match="standard output cannot be written: Bad file descr"):
        write_result("a result")


def test_names_that_are_no_unicode_are_escaped_as_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        write_result("caf\xe9 \udcff\n")
    assert (tmp_path / "out").read_bytes() == b"caf\xc3\xa9 \\udcff\n"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    write_result("in memory")
    assert sys.stdout.getvalue() == "in memory"
