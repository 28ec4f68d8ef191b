"""Windows through a model into files: what comes out, and what comes out after interruptions."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.errors import EngineError, OptionsError
from pegasus_runtime.records.job import OnDone
from pegasus_runtime.records.jsonl_output import StdoutOutput
from pegasus_runtime.records.jsonl_source import JsonlSource
from pegasus_runtime.records.ledger import FailuresTold, Ledger
from pegasus_runtime.records.run import run_records
from pegasus_runtime.records.state import State, read_state, write_state
from pegasus_runtime.records.target import failures_beside
from pegasus_runtime.records.window import Answer
from runtime.records.fakes import FIELDS, Capitals
from runtime.records.resumable import RUN, Stops, run

LINES = (
    *('{"text": "one"}', "", '{"text": "fail"}', '{"text": "long"}', "no json"),
    *('{"text": "? two"}', '{"n": 1, "text": "three"}', '{"text": "<p"}', '{"text": "hidden"}'),
)
KILLS = 6


class Slow:
    """The first texts take longest; notes how many run at a time."""

    identity = "capitals"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running = self.most = 0

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.05 if texts[0] == "0" else 0.001)
        with self.lock:
            self.running -= 1
        return Capitals().answer(texts, on_done)


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def numbers(path: Path, count: int) -> Path:
    return write(path, [f'{{"text": "{number}"}}' for number in range(count)])


def test_records_are_written_in_order_and_failures_to_a_file_of_their_own(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", LINES)
    seen: list[int] = []
    state = run(source, tmp_path / "out.jsonl", on_done=seen.append)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == [
        '{"text": "one", "summary": "ONE"}',
        '{"text": "long", "summary": "LONG"}',
        '{"text": "? two", "summary": "? TWO"}',
        '{"n": 1, "text": "three", "summary": "THREE"}',
        '{"text": "<p", "summary": "<P"}',
        '{"text": "hidden", "summary": "HIDDEN"}',
    ]
    failures = (tmp_path / "out.failures.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in failures] == [
        {"file": str(source), "line": 3, "code": "input", "message": "the text is empty"},
        {
            "file": str(source),
            "line": 5,
            "code": "not_json",
            "message": "not JSON: Expecting value (character 0)",
        },
    ]
    counts = state.counts
    assert (counts.written, counts.failed, counts.blank) == (6, 2, 1)
    assert (counts.truncated, counts.unknown, counts.html, counts.controls) == (1, 1, 1, 1)
    assert state.is_complete
    assert read_state(tmp_path / "out.jsonl.resume") == state
    assert sum(seen) == 8


def test_without_failures_there_is_no_file_of_them(tmp_path: Path) -> None:
    run(numbers(tmp_path / "in.jsonl", 3), tmp_path / "out.jsonl")
    assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "out.jsonl", "out.jsonl.resume"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_it_goes_on_after_any_number_of_windows(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "in.jsonl", LINES * 3)
    whole = run(source, tmp_path / f"whole-{name}")
    for count in range(whole.position.windows):
        output = tmp_path / f"{count}-{name}"
        with pytest.raises(EngineError, match="it stopped"):
            run(source, output, Stops(count))
        with output.open("ab") as file:  # what was written and not committed
            file.write(b"half")
        assert run(source, output) == whole
        assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
        failures = (tmp_path / f"{count}-out.failures.jsonl").read_bytes()
        assert failures == (tmp_path / "whole-out.failures.jsonl").read_bytes()


def test_gzip_is_whole_after_every_window(tmp_path: Path) -> None:
    source = numbers(tmp_path / "in.jsonl", 8)
    with pytest.raises(EngineError, match="it stopped"):
        run(source, tmp_path / "out.jsonl.gz", Stops(3))
    lines = gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line)["summary"] for line in lines] == [str(each) for each in range(6)]


@pytest.mark.parametrize("lines", [[], ["", ""], ["no json"] * 5])
def test_gzip_without_a_record_is_gzip(tmp_path: Path, lines: list[str]) -> None:
    """zcat takes no empty file, although Python does."""
    source, output = write(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl.gz"
    state = run(source, output)
    data = output.read_bytes()
    assert data[:2] == b"\x1f\x8b"
    assert gzip.decompress(data) == b""
    assert run(source, output) == state
    killed = replace(state, output_bytes=0, output_sha256="", is_complete=False)
    write_state(tmp_path / "out.jsonl.gz.resume", killed)  # between the last byte and its state
    assert run(source, output, Stops(0)) == state
    assert output.read_bytes() == data


def test_failures_that_were_not_committed_are_not_there_twice(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ["no json"] * 6)
    with pytest.raises(EngineError, match="it stopped"):
        run(
            write(tmp_path / "in.jsonl", ["no json"] * 5 + ['{"text": ""}']),
            tmp_path / "o",
            Stops(0),
        )
    state = read_state(tmp_path / "o.resume")
    assert state is not None
    with (tmp_path / "o.failures.jsonl").open("ab") as file:
        file.write(b"{}\n")
    source = write(tmp_path / "in.jsonl", ["no json"] * 5 + ['{"text": ""}'])
    assert run(source, tmp_path / "o").counts.failed == 5
    assert len((tmp_path / "o.failures.jsonl").read_text().splitlines()) == 5


def test_failures_that_do_not_come_again_are_cut_off(tmp_path: Path) -> None:
    """Of an engine that failed just before the kill, and of no record this time."""
    source = numbers(tmp_path / "in.jsonl", 4)
    with pytest.raises(EngineError, match="it stopped"):
        run(source, tmp_path / "o", Stops(1))
    (tmp_path / "o.failures.jsonl").write_text("{}\n")
    assert run(source, tmp_path / "o").counts.failed == 0
    assert (tmp_path / "o.failures.jsonl").read_bytes() == b""


def test_a_run_that_is_complete_is_left_alone(tmp_path: Path) -> None:
    source = numbers(tmp_path / "in.jsonl", 4)
    state = run(source, tmp_path / "out.jsonl")
    assert run(source, tmp_path / "out.jsonl", Stops(0)) == state
    numbers(source, 6)
    with pytest.raises(
        OptionsError, match="the output is complete, and its input has more records"
    ):
        run(source, tmp_path / "out.jsonl", Stops(0))


def test_several_at_a_time_write_in_order(tmp_path: Path) -> None:
    source = numbers(tmp_path / "in.jsonl", 41)
    run(source, tmp_path / "one.jsonl")
    model, ended = Slow(), []
    run(source, tmp_path / "two.jsonl", model, workers=3, on_end=lambda: ended.append(1))
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert model.most == 3
    assert ended


def test_what_one_of_several_raises_ends_the_run(tmp_path: Path) -> None:
    source = numbers(tmp_path / "in.jsonl", 40)
    with pytest.raises(EngineError, match="it stopped"):
        run(source, tmp_path / "out.jsonl", Stops(5), workers=3)
    assert run(source, tmp_path / "out.jsonl", workers=3).counts.written == 40
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["summary"] for line in lines] == [str(each) for each in range(40)]


def test_standard_output_gets_lines_and_failures_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.jsonl", LINES)
    told: list[str] = []
    ledger = Ledger(StdoutOutput(FIELDS), FailuresTold(told.append), State(run=RUN), None)
    run_records(JsonlSource([str(source)], FIELDS, 2), Capitals(), ledger)
    ledger.close()
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert told == [
        f"{source}: line 3: the text is empty",
        f"{source}: line 5: not JSON: Expecting value (character 0)",
    ]
    assert os.listdir(tmp_path) == ["in.jsonl"]


class Noting(StdoutOutput):
    """Notes how far the state is when parts are deleted."""

    def __init__(self, state: Path) -> None:
        super().__init__(FIELDS)
        self.state, self.found = state, State(run={})

    def clear(self) -> None:
        self.found = read_state(self.state) or self.found


def test_parts_go_after_the_state_says_that_nobody_needs_them(tmp_path: Path) -> None:
    """A crash between the two would leave an output that cannot be gone on with."""
    path = tmp_path / "state"
    output = Noting(path)
    ledger = Ledger(output, FailuresTold(lambda message: None), State(run=RUN), path)
    run_records(JsonlSource([str(numbers(tmp_path / "in", 0))], FIELDS, 2), Capitals(), ledger)
    assert output.found == ledger.state
    assert output.found.is_complete


@contextmanager
def limited(num_bytes: int) -> Iterator[None]:
    """No file grows beyond this, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_a_disk_that_is_full_at_any_byte_changes_nothing(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "in.jsonl", LINES * 9)
    whole = run(source, tmp_path / f"whole-{name}")
    size, output = whole.output_bytes, tmp_path / name
    for room in range(0, size, size // 20):
        with limited(room), pytest.raises(ResultError, match="cannot be written: File too large"):
            run(source, output)
    assert run(source, output) == whole
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


_SCRIPT = """
import sys
from pathlib import Path
from runtime.records.resumable import run
print("ready", flush=True)
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_sigkill_at_any_moment_changes_nothing(tmp_path: Path) -> None:
    """The model takes no time, so most moments are within a write, a sync or a rename."""
    name = "out.jsonl"
    source = write(tmp_path / "in.jsonl", LINES * 60)
    whole = run(source, tmp_path / f"whole-{name}")
    output = tmp_path / name
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    rng, seen = random.Random(name), set()
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(source), str(output)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        state = read_state(tmp_path / f"{name}.resume")
        seen.add(0 if state is None else state.position.windows)
    assert len(seen) > 2
    assert run(source, output) == whole
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    failures = failures_beside(output).read_bytes()
    assert failures == (tmp_path / "whole-out.failures.jsonl").read_bytes()
