"""Lines of files, and windows of them: the same ones whenever the same is read."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.records.jsonl_source import JsonlSource
from pegasus_runtime.records.lines import Line, LineFile
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.window import Position, Window, take_from
from runtime.records.fakes import FIELDS


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def records(count: int) -> bytes:
    return b"".join(b'{"text": "%d"}\n' % number for number in range(count))


def read(name: str) -> list[Line]:
    return list(LineFile(name).lines())


def source(*names: str, window: int = 3) -> JsonlSource:
    return JsonlSource(names, FIELDS, window)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    found = read(write(tmp_path / "a.jsonl", mark + b"{}\r\n" + mark + b"{}"))
    assert [(line.number, line.data) for line in found] == [(1, b"{}\r\n"), (2, mark + b"{}")]


def test_a_line_that_is_too_long_is_left_out_and_the_next_one_is_whole(
    tmp_path: Path,
) -> None:
    whole = b'{"text": "%s"}'
    data = [whole % b"12345678", whole % (b"9" * 10**6), whole % b"1234567", whole % (b"9" * 9)]
    name = write(tmp_path / "a.jsonl", b"\n".join(data))
    found = list(LineFile(name, max_line_bytes=21).lines())
    assert [line.is_too_long for line in found] == [False, True, False, False]
    assert [len(line.data) for line in found] == [21, 21, 20, 21]
    assert [line.number for line in found] == [1, 2, 3, 4]


def test_a_line_that_is_too_long_has_no_text() -> None:
    line = Line(number=1, data=b'{"text": "a"', is_too_long=True)
    window = Window(places=(), kept=(line,), num_blank=0, end=Position())
    (problem,) = source().texts(window)
    assert isinstance(problem, Problem)
    assert problem.code == "line_too_long"
    assert problem.message.startswith("longer than 16 MiB: leave fields out, or shorten it")


def test_gzip_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    data = gzip.compress(b"{}\n{") + gzip.compress(b"}\n")
    assert [line.data for line in read(write(tmp_path / "a.jsonl.gz", data))] == [b"{}\n", b"{}\n"]


@pytest.mark.parametrize("damage", [b"not gzip", gzip.compress(records(2000))[:-300]])
def test_what_is_no_gzip_to_its_end_is_an_error(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(InputError, match=r"a.gz: not gzip, or not all of it: .*: copy the file ag"):
        read(write(tmp_path / "a.gz", damage))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none.jsonl: cannot be read: No such file .*check the pa"
    ):
        read(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        source(str(tmp_path)).check()


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n{}")))
    assert [line.data for line in read("-")] == [b"{}\n", b"{}"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed: name a FILE, or give it lines"):
        read("-")


def test_a_pipe_is_not_read_before_its_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source(str(tmp_path / "pipe"), "-").check()  # which would wait for a writer


def places(windows: Iterator[Window[tuple[Line, ...]]]) -> list[list[tuple[str, int]]]:
    return [
        [(Path(place.file).name, place.number) for place in window.places] for window in windows
    ]


def test_windows_go_over_the_ends_of_files_and_blank_lines(tmp_path: Path) -> None:
    first = write(tmp_path / "a", b"\n" + records(2) + b" \r\n")
    second = write(tmp_path / "b", records(3))
    third = write(tmp_path / "c", b"\n\n")
    made = source(first, second, third)
    windows = list(made.windows())
    assert places(iter(windows)) == [[("a", 2), ("a", 3), ("b", 1)], [("b", 2), ("b", 3)]]
    assert [window.num_blank for window in windows] == [2, 2]
    assert [window.end.records for window in windows] == [3, 5]
    assert [window.end.windows for window in windows] == [1, 2]
    everything = b"\n" + records(2) + b" \r\n" + records(3) + b"\n\n"
    assert windows[1].end.sha256 == hashlib.sha256(everything).hexdigest()


def test_long_lines_make_short_windows(tmp_path: Path) -> None:
    name = write(tmp_path / "a", records(5))
    found = places(JsonlSource([name], FIELDS, 3, window_bytes=28).windows())
    assert [len(each) for each in found] == [2, 2, 1]


def test_a_field_of_that_name_is_told_before_anything_runs(tmp_path: Path) -> None:
    good = write(tmp_path / "a", records(2))
    empty = write(tmp_path / "b", b"\n")
    taken = write(tmp_path / "c", b'\n{"text": "a", "summary": 1}\n')
    source(good, empty).check()
    with pytest.raises(InputError, match=r'c: line 2: has a field "summary" already: rename it'):
        source(good, empty, taken).check()


def test_how_many_there_are_is_guessed_by_bytes_and_known_at_the_end(tmp_path: Path) -> None:
    made = source(write(tmp_path / "a", records(10)), write(tmp_path / "b", records(10)), window=5)
    assert made.estimate_records() == (None, True)
    windows = made.windows()
    next(windows)
    count, is_estimate = made.estimate_records()
    assert is_estimate
    assert count is not None
    assert 1 <= count <= 20  # small files are read at once
    list(windows)
    assert made.estimate_records() == (20, False)


def test_of_a_pipe_nobody_knows_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(records(10))))
    made = source("-")
    next(made.windows())
    assert made.estimate_records() == (None, True)


def test_what_was_read_before_is_passed_over(tmp_path: Path) -> None:
    name = write(tmp_path / "a", records(8))
    windows = list(source(name).windows())
    for number, window in enumerate(windows):
        left = list(take_from(source(name), window.end))
        assert places(iter(left)) == places(iter(windows[number + 1 :]))
        assert [each.end for each in left] == [each.end for each in windows[number + 1 :]]
    assert places(take_from(source(name), Position())) == places(iter(windows))


@pytest.mark.parametrize(
    "now", [records(8).replace(b"0", b"9", 1), records(5), b"", b"\n" + records(8)]
)
def test_another_input_is_refused(tmp_path: Path, now: bytes) -> None:
    name = write(tmp_path / "a", records(8))
    second = list(source(name).windows())[1].end
    write(tmp_path / "a", now)
    with pytest.raises(OptionsError, match="input is not what it was: the first 6 records differ"):
        list(take_from(source(name), second))


def test_a_position_that_no_window_ends_at_is_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "a", records(8))
    second = list(source(name).windows())[1].end
    with pytest.raises(OptionsError, match="is not what it was: the first 5 records"):
        list(take_from(source(name), replace(second, records=5)))
