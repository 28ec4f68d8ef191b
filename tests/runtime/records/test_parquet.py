"""Parquet in and out: columns and types stay, parts become one file, whatever interrupts it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.errors import EngineError, InputError, OptionsError
from pegasus_runtime.records import parquet_output
from pegasus_runtime.records.fields import MORE, Fields
from pegasus_runtime.records.job import OnDone
from pegasus_runtime.records.ledger import FailureFile, Ledger
from pegasus_runtime.records.parquet_output import ParquetOutput
from pegasus_runtime.records.parquet_source import ParquetSource
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.run import run_records
from pegasus_runtime.records.state import State
from pegasus_runtime.records.target import Target, failures_beside
from pegasus_runtime.records.window import Answer, Made
from runtime.records.fakes import FIELDS, Capitals
from runtime.records.resumable import RUN, Stops

COLUMNS = {
    "text": pa.array(["one", None, "fail", "two", "three", "four", "five"], pa.large_string()),
    "id": pa.array(range(7), pa.uint8()),
    "when": pa.array(range(7), pa.timestamp("us", "Europe/Berlin")),
    "price": pa.array(["1.10"] * 7).cast(pa.decimal128(5, 2)),
    "kind": pa.array(["a", "b"] * 3 + ["a"]).dictionary_encode(),
    "tags": pa.array([[1, 2], None, [], [3], [4], [5], [6]], pa.list_(pa.int16())),
}


def write(path: Path, columns: dict[str, Any] = COLUMNS) -> str:
    table = pa.table(columns).replace_schema_metadata({"made": "here"})
    parquet.write_table(table, path, row_group_size=3)
    return str(path)


def run(names: Sequence[str], output: Path, model: Any = None, fields: Fields = FIELDS) -> State:
    source = ParquetSource(names, fields, 2)
    source.check()
    target = Target(output=output, failures=failures_beside(output))
    state = target.begin(RUN, resume=True)
    made = ParquetOutput(output, source.schema(), fields, state)
    failures = FailureFile(target.failures, state, "row")
    with closing(Ledger(made, failures, state, target.state)) as ledger:
        run_records(source, model or Capitals(), ledger)
        return ledger.state


def test_columns_and_types_stay_and_the_summary_is_added(tmp_path: Path) -> None:
    name = write(tmp_path / "in.parquet")
    state = run([name], tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    before = parquet.read_table(name)
    rows = [0, 3, 4, 5, 6]
    assert found.drop_columns(["summary"]).equals(before.take(rows), check_metadata=True)
    assert found.column("summary").to_pylist() == ["ONE", "TWO", "THREE", "FOUR", "FIVE"]
    assert found.schema.field("summary").type == pa.string()
    assert (state.counts.written, state.counts.failed) == (5, 2)
    failures = (tmp_path / "out.failures.jsonl").read_text().splitlines()
    assert failures == [
        f'{{"file": "{name}", "row": 2, "code": "not_a_string", "message": "\'text\' is null, '
        'expected a string"}',
        f'{{"file": "{name}", "row": 3, "code": "input", "message": "the text is empty"}}',
    ]
    assert not (tmp_path / "out.parquet.parts").exists()
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 1


class All:
    """Gives a value of every field there is."""

    identity = "all"

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        values = ("A", -0.5, [1, 2], [None, 0.5], True, 0.25, 7, False, ["B"])
        return [Made(values=values) for _ in texts]


def test_every_field_has_a_type(tmp_path: Path) -> None:
    name = write(tmp_path / "in.parquet", {"text": pa.array(["a"])})
    run([name], tmp_path / "out.parquet", All(), Fields(more=tuple(MORE)))
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist() == [
        {
            "text": "a",
            "summary": "A",
            "score": -0.5,
            "tokens": [1, 2],
            "token_scores": [None, 0.5],
            "truncated": True,
            "unknown_share": 0.25,
            "control_characters": 7,
            "looks_like_html": False,
            "alternatives": ["B"],
        }
    ]


def test_it_goes_on_after_any_number_of_parts(tmp_path: Path) -> None:
    names = [write(tmp_path / "a.parquet"), write(tmp_path / "b.parquet")]
    whole = run(names, tmp_path / "whole.parquet")
    assert whole.position.windows == 10  # none has rows of two groups
    for count in range(4):
        output = tmp_path / f"{count}.parquet"
        with pytest.raises(EngineError, match="it stopped"):
            run(names, output, Stops(count))
        parts = tmp_path / f"{count}.parquet.parts"
        (parts / "unfinished").write_text("half")
        (parts / "00000099.parquet").write_text("not committed")
        assert run(names, output) == whole
        assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
        assert not parts.exists()


def test_a_crash_after_the_end_loses_nothing(tmp_path: Path) -> None:
    names = [write(tmp_path / "a.parquet")]
    whole = run(names, tmp_path / "out.parquet")
    data = (tmp_path / "out.parquet").read_bytes()
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts/00000000.parquet").touch()
    assert run(names, tmp_path / "out.parquet", Stops(0)) == whole
    assert (tmp_path / "out.parquet").read_bytes() == data
    assert not (tmp_path / "out.parquet.parts").exists()


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_complete_file_that_somebody_changed_is_refused(tmp_path: Path, damage: str) -> None:
    names, output = [write(tmp_path / "a.parquet")], tmp_path / "out.parquet"
    run(names, output)
    if damage == "gone":
        output.unlink()
    else:
        output.write_bytes(output.read_bytes() + b"x")
    with pytest.raises(OptionsError, match=r"out.parquet: not as it was written: it was changed"):
        run(names, output)
    assert not (tmp_path / "out.parquet.parts").exists()


def test_an_input_of_which_a_dictionary_changed_is_another(tmp_path: Path) -> None:
    """The rows name its entries by number, and are the same."""

    def columns(first: str) -> dict[str, Any]:
        kind = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 3, pa.int32()), [first, "b"])
        return {"text": pa.array(list("uvwxyz")), "kind": kind}

    names = [write(tmp_path / "a.parquet", columns("a"))]
    with pytest.raises(EngineError, match="it stopped"):
        run(names, tmp_path / "out.parquet", Stops(2))
    write(tmp_path / "a.parquet", columns("another"))
    with pytest.raises(OptionsError, match="the input is not what it was: the first 3 records"):
        run(names, tmp_path / "out.parquet")


@pytest.mark.parametrize("texts", [[], [None] * 5, ["fail"] * 5])
def test_a_file_without_rows_has_its_columns(tmp_path: Path, texts: list[str | None]) -> None:
    name = write(tmp_path / "a.parquet", {"text": pa.array(texts, pa.string())})
    state = run([name], tmp_path / "out.parquet")
    assert (state.counts.written, state.counts.failed) == (0, len(texts))
    found = parquet.read_table(tmp_path / "out.parquet")
    assert (found.num_rows, found.schema.names) == (0, ["text", "summary"])
    assert run([name], tmp_path / "out.parquet", Stops(0)) == state


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_parts_that_somebody_changed_are_refused(tmp_path: Path, damage: str) -> None:
    names = [write(tmp_path / "a.parquet")]
    with pytest.raises(EngineError, match="it stopped"):
        run(names, tmp_path / "out.parquet", Stops(2))
    parts = tmp_path / "out.parquet.parts"
    if damage == "gone":
        (parts / "00000000.parquet").unlink()
    else:
        (parts / "00000001.parquet").write_bytes((parts / "00000000.parquet").read_bytes())
    with pytest.raises(
        OptionsError, match=r"out.parquet.parts: not as it was written: 2 parts were"
    ):
        run(names, tmp_path / "out.parquet")


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    schema = pa.schema([("text", pa.string())])
    output = ParquetOutput(tmp_path / "a.parquet", schema, FIELDS, State(run={}))
    with pytest.raises(OptionsError, match=r"a.parquet: another run is writing it"):
        ParquetOutput(tmp_path / "a.parquet", schema, FIELDS, State(run={}))
    output.close()


def test_groups_of_rows_are_joined_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_output, "_GROUP_ROWS", 3)
    name = write(tmp_path / "a.parquet", {"text": pa.array([str(each) for each in range(9)])})
    run([name], tmp_path / "out.parquet")
    found = parquet.ParquetFile(tmp_path / "out.parquet")
    groups = [found.metadata.row_group(each).num_rows for each in range(found.num_row_groups)]
    assert groups == [4, 4, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": pa.array(["x"])}, "expected one column 'text', got a: string: name the text's with"),
        ({"text": pa.array([5])}, "column 'text' is int64, expected string or large_string"),
        ({"text": pa.array(["x"]), "summary": pa.array([1])}, "has a column 'summary' already"),
    ],
)
def test_columns_that_do_not_do_are_told_before_anything_runs(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ParquetSource([write(tmp_path / "a.parquet", columns)], FIELDS, 2).check()


def test_files_of_other_columns_are_run_by_themselves(tmp_path: Path) -> None:
    first = write(tmp_path / "a.parquet", {"text": pa.array(["x"])})
    second = write(tmp_path / "b.parquet", {"text": pa.array(["x"]), "n": pa.array([1])})
    with pytest.raises(
        InputError, match=r"b.parquet: other columns than .*a.parquet, text: string, n: int64, exp"
    ):
        ParquetSource([first, second], FIELDS, 2).check()


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("PAR1 or not")
    for name in ("a.parquet", "none.parquet"):
        with pytest.raises(
            InputError, match=rf"{name}: cannot be read as Parquet: .*: check the fi"
        ):
            ParquetSource([str(tmp_path / name)], FIELDS, 2).check()


def test_a_damaged_page_is_told_when_it_is_read(tmp_path: Path) -> None:
    name = write(tmp_path / "a.parquet", {"text": pa.array(["x" * 50 + str(n) for n in range(99)])})
    data = bytearray(Path(name).read_bytes())
    data[4:300] = b"\xff" * 296
    Path(name).write_bytes(data)
    source = ParquetSource([name], FIELDS, 2)
    source.check()
    with pytest.raises(InputError, match=r"a.parquet: cannot be read as Parquet"):
        list(source.windows())


def test_a_text_that_is_no_utf8_is_a_problem(tmp_path: Path) -> None:
    text = pa.array([b"\xff", b"good"], pa.binary()).view(pa.string())
    source = ParquetSource([write(tmp_path / "a.parquet", {"text": text})], FIELDS, 2)
    (window,) = source.windows()
    problem, good = source.texts(window)
    assert isinstance(problem, Problem)
    assert (problem.code, good) == ("not_utf8", "good")
    assert problem.message == "not UTF-8 (byte 0): convert it"


def test_rows_are_counted_beforehand(tmp_path: Path) -> None:
    source = ParquetSource(
        [write(tmp_path / "a.parquet"), write(tmp_path / "b.parquet")], FIELDS, 2
    )
    source.check()
    assert source.estimate_records() == (14, False)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"a.parquet.parts: cannot be written: No such file"):
        ParquetOutput(tmp_path / "none/a.parquet", pa.schema([]), FIELDS, State(run={}))
    output = ParquetOutput(tmp_path / "a.parquet", pa.schema([]), FIELDS, State(run={}))
    os.symlink("/dev/full", tmp_path / "a.parquet.parts/unfinished")
    with pytest.raises(ResultError, match=r"a.parquet: cannot be written: .*go on with --resume"):
        output.finish()
    output.close()


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EngineError, match=r"pyarrow is not installed.*'pegasus-edge\[batch\]'"):
        ParquetSource(["a.parquet"], FIELDS, 2)
