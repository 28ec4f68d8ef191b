"""Files that a run writes: which it may write, which it goes on with, which it cuts back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.growing_file import GrowingFile
from pegasus_runtime.records.state import Counts, State, read_state, write_state
from pegasus_runtime.records.target import Target, check_new_failures, failures_beside
from pegasus_runtime.records.window import Position

RUN = {"bundle": "b", "num beams": "4"}
STATE = State(
    run=RUN,
    position=Position(windows=2, records=9, sha256="abc"),
    output_bytes=7,
    output_sha256="d",
    failures_bytes=3,
    counts=Counts(written=8, failed=1, blank=2, truncated=3, unknown=4),
    is_complete=True,
)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(output=tmp_path / "out.jsonl", failures=tmp_path / "out.failures.jsonl")


# The state.


def test_a_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_state(tmp_path / "s", State(run={}))
    write_state(tmp_path / "s", STATE)
    assert read_state(tmp_path / "s") == STATE
    assert os.listdir(tmp_path) == ["s"]
    assert read_state(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "a": 1}', "5"])
def test_what_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(OptionsError, match=r"s: does not say how far the output is .*--force"):
        read_state(tmp_path / "s")


@pytest.mark.parametrize(
    "change",
    [
        {"run": None},
        {"run": {"bundle": 5}},
        {"output_bytes": -1},
        {"output_bytes": "7"},
        {"output_bytes": True},
        {"output_sha256": 5},
        {"is_complete": "yes"},
        {"position": {"windows": 1.5}},
        {"counts": {"written": None}},
    ],
)
def test_a_state_of_other_kinds_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_state(tmp_path / "s", STATE)
    state = json.loads((tmp_path / "s").read_text())
    (tmp_path / "s").write_text(json.dumps(state | change))
    with pytest.raises(OptionsError, match=r"s: does not say how far the output is .*--force"):
        read_state(tmp_path / "s")


# Whether it begins or goes on.


@pytest.mark.parametrize(
    ("output", "failures"),
    [
        ("out.jsonl", "out.failures.jsonl"),
        ("out.jsonl.gz", "out.failures.jsonl"),
        ("out.parquet", "out.failures.jsonl"),
        ("a.b", "a.b.failures.jsonl"),
    ],
)
def test_failures_lie_beside_the_output(output: str, failures: str) -> None:
    assert failures_beside(Path("d", output)) == Path("d", failures)


@pytest.mark.parametrize(
    "name", ["out.jsonl", "out.failures.jsonl", "out.jsonl.resume", "out.jsonl.parts"]
)
def test_what_is_there_is_not_written_over(target: Target, tmp_path: Path, name: str) -> None:
    target.check([], resume=False, force=False)
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(OptionsError, match=rf"{name}: it is there already: go on with --resume, r"):
        target.check([], resume=False, force=False)
    target.check([], resume=False, force=True)


def test_an_output_without_state_is_not_gone_on_with(target: Target) -> None:
    target.check([], resume=True, force=False)
    target.output.touch()
    with pytest.raises(
        OptionsError, match=r"out.jsonl: nothing says how far it is, as there is no"
    ):
        target.check([], resume=True, force=False)
    target.state.touch()
    target.check([], resume=True, force=False)


@pytest.mark.parametrize("name", ["out.jsonl", "out.failures.jsonl", "out.jsonl.resume", "link"])
def test_what_is_read_is_not_written(target: Target, tmp_path: Path, name: str) -> None:
    target.output.touch()
    (tmp_path / "link").symlink_to(target.output)
    with pytest.raises(OptionsError, match="it is read, and would be written: name another output"):
        target.check([str(tmp_path / name)], resume=False, force=True)


def test_output_and_failures_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="a: output and failures are one file: name two"):
        Target(output=tmp_path / "a", failures=tmp_path / "a").check([], resume=False, force=True)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OptionsError, match="a: output and failures are one file: name two"):
        Target(output=tmp_path / "a", failures=tmp_path / "link/../a").check(
            [], resume=False, force=True
        )


def test_what_comes_on_standard_input_is_not_written(target: Target) -> None:
    before = os.dup(0)
    target.output.write_text("{}")
    with target.output.open() as file:
        os.dup2(file.fileno(), 0)
    try:
        with pytest.raises(OptionsError, match=r"out.jsonl: it is read, and would be written"):
            target.check(["-"], resume=False, force=True)
    finally:
        os.dup2(before, 0)
        os.close(before)
    target.check(["-"], resume=False, force=True)


def test_a_run_that_begins_deletes_what_is_there(target: Target, tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.failures.jsonl"):
        (tmp_path / name).write_text("x")
    write_state(target.state, STATE)
    (tmp_path / "out.jsonl.parts").mkdir()
    assert target.begin(RUN, resume=False, force=True) == State(run=RUN)
    assert read_state(target.state) == State(run=RUN)
    assert os.listdir(tmp_path) == ["out.jsonl.resume"]


def test_a_run_goes_on_with_its_own_state(target: Target) -> None:
    assert target.begin(RUN, resume=True) == State(run=RUN)
    write_state(target.state, STATE)
    assert target.begin(dict(reversed(RUN.items())), resume=True) == STATE


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (RUN | {"num beams": "2"}, "its run had another num beams, 4, this one 2: give the same"),
        (RUN | {"top k": "2"}, "its run had another top k, none, this one 2"),
        ({"bundle": "b"}, "its run had another num beams, 4, this one none"),
        (RUN | {"bundle": "c" * 99}, f"another bundle, b, this one {'c' * 60}…: give the same"),
    ],
)
def test_another_run_does_not_go_on_with_it(
    target: Target, run: dict[str, str], message: str
) -> None:
    write_state(target.state, STATE)
    with pytest.raises(OptionsError, match=message):
        target.begin(run, resume=True)


def test_what_another_run_writes_is_not_deleted(target: Target) -> None:
    file = GrowingFile(target.output)
    with pytest.raises(OptionsError, match=r"out.jsonl: another run is writing it: wait for that"):
        target.begin(RUN, resume=False, force=True)
    assert target.output.exists()
    file.close()
    target.begin(RUN, resume=False, force=True)


@pytest.mark.parametrize("resume", [False, True])
def test_what_has_come_while_the_bundle_was_loaded_is_not_written_over(
    target: Target, resume: bool
) -> None:
    """Or downloaded and exported, which takes hours."""
    target.check([], resume=resume, force=False)
    target.output.write_text("of somebody else")
    with pytest.raises(OptionsError, match=r"out.jsonl: (it is there already|nothing says how)"):
        target.begin(RUN, resume=resume)
    assert target.output.read_text() == "of somebody else"
    assert not target.state.exists()


def test_a_state_that_another_run_replaced_is_not_gone_on_with(target: Target) -> None:
    """It went on after this one read how far it is, and ended before this one held the output."""
    state = target.begin(RUN, resume=True)
    file = GrowingFile(target.output, check_still=lambda: target.check_still(state))
    file.append(b"one")
    file.close()
    write_state(target.state, STATE)
    with pytest.raises(OptionsError, match=r"out.jsonl: another run was writing it a moment ago"):
        GrowingFile(target.output, check_still=lambda: target.check_still(state))
    assert target.output.read_bytes() == b"one"


@pytest.mark.parametrize("name", ["out.jsonl", "out.failures.jsonl"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_never_replaced(
    target: Target, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    """Such as /dev/null, which root could delete."""
    make(tmp_path / name)
    for force in (False, True):
        with pytest.raises(OptionsError, match=rf"{name}: it is a device, a pipe or a folder, exp"):
            target.check([], resume=False, force=force)


def test_failures_without_an_output_replace_nothing(tmp_path: Path) -> None:
    check_new_failures(tmp_path / "a")
    (tmp_path / "a").touch()
    with pytest.raises(OptionsError, match="a: it is there already: delete it, or name another"):
        check_new_failures(tmp_path / "a")
    with pytest.raises(OptionsError, match="it is a device, a pipe or a folder, expected a file"):
        check_new_failures(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    target = Target(output=tmp_path / "none/a", failures=tmp_path / "b")
    with pytest.raises(
        ResultError, match=r"a.resume: cannot be written: No such file or directory"
    ):
        target.begin(RUN, resume=False)


# Files that grow.


def test_what_came_after_the_last_whole_piece_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = GrowingFile(path)
    file.append(b"x" * 5000)
    size, sha256 = file.append(b"one\n")
    file.append(b"tw")
    file.close()
    again = GrowingFile(path, size=size, sha256=sha256)
    assert path.read_bytes() == b"x" * 5000 + b"one\n"
    assert again.append(b"two\n")[0] == size + 4
    again.close()
    assert path.read_bytes() == b"x" * 5000 + b"one\ntwo\n"


@pytest.mark.parametrize("change", [b"", b"ono\n", b"one", b"x" * 9000])
def test_a_file_that_somebody_changed_is_refused_and_left_alone(
    tmp_path: Path, change: bytes
) -> None:
    path = tmp_path / "a"
    file = GrowingFile(path)
    size, sha256 = file.append(b"y" * 5000 + b"one\n")
    file.close()
    path.write_bytes(change)
    for known in (sha256, ""):
        if known or len(change) < size:
            with pytest.raises(
                OptionsError, match="a: not as it was written: its first 5004 bytes"
            ):
                GrowingFile(path, size=size, sha256=known)
    assert path.read_bytes() == change


def test_a_file_that_is_gone_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    for size in (5, 10**30):
        with pytest.raises(OptionsError, match=r"a: not as it was written: its first .* were chan"):
            GrowingFile(tmp_path / "a", size=size)
        assert not (tmp_path / "a").exists()
    (tmp_path / "a").write_text("one")
    with pytest.raises(OptionsError, match=r"a: not as it was written: its first .* were changed"):
        GrowingFile(tmp_path / "a", size=10**30)


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a")
    with pytest.raises(OptionsError, match="a: another run is writing it"):
        GrowingFile(tmp_path / "a")
    file.close()
    GrowingFile(tmp_path / "a").close()


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a")
    os.dup2(os.open("/dev/full", os.O_WRONLY), file.descriptor)
    with pytest.raises(
        ResultError, match=r"a: cannot be written: No space left .*on with --resume"
    ):
        file.append(b"x")
    with pytest.raises(ResultError, match="cannot be written: Is a directory"):
        GrowingFile(tmp_path)


def test_a_state_is_text_that_people_can_read(tmp_path: Path) -> None:
    write_state(tmp_path / "s", STATE)
    assert json.loads((tmp_path / "s").read_text())["counts"]["written"] == 8
