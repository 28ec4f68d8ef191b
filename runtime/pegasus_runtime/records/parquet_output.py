"""Rows into a Parquet file: parts in a folder beside it, which become one at the end.

A Parquet file has its index at its end, so that half of one is none. A window is a part of its own,
and what is there is never touched again; the whole is written from the parts, and put in its place
in one step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pegasus_runtime.bundle.when_free import when_free
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.growing_file import TAIL_BYTES, hold, write_error
from pegasus_runtime.records.pyarrow_library import import_pyarrow
from pegasus_runtime.records.state import State, sync_folder
from pegasus_runtime.records.window import Answer, Made, Window

__all__ = ["ParquetOutput", "parts_folder"]

_GROUP_ROWS = 2**16
_GROUP_BYTES = 64 * 2**20


def parts_folder(path: Path) -> Path:
    """Where the parts of a file lie."""
    return path.with_name(f"{path.name}.parts")


class ParquetOutput:
    """Held against other runs until it is closed. Raises: EngineError without pyarrow."""

    def __init__(
        self,
        path: Path,
        schema: Any,
        fields: Fields,
        begin: State,
        check_still: Callable[[], None] = lambda: None,
    ) -> None:
        """schema: of the input, a pyarrow.Schema. check_still: see `GrowingFile`.

        Raises: OptionsError for parts that are in use, or others by now; ResultError.
        """
        self.arrow, self.parquet = import_pyarrow()
        self.path = path
        self.schema = schema
        for name, kind in zip(fields.added, fields.kinds, strict=True):
            self.schema = self.schema.append(self.arrow.field(name, self._type(kind)))
        self.num_parts = begin.output_bytes
        self.folder = parts_folder(path)
        try:
            self.folder.mkdir(exist_ok=True)
            self.descriptor = -1 if os.name == "nt" else os.open(self.folder, os.O_RDONLY)
        except OSError as err:
            raise write_error(self.folder, err) from err
        try:
            if self.descriptor >= 0:
                hold(path, self.descriptor)
            check_still()
            if begin.is_complete:
                self._check_whole(begin.output_sha256)
            else:
                self._go_on(begin.output_sha256)
        except BaseException:
            self.close()
            raise

    def _type(self, kind: str) -> Any:
        """From pyarrow's words to its type."""
        if kind.startswith("list<"):
            return self.arrow.list_(self._type(kind[5:-1]))
        return self.arrow.type_for_alias(kind)

    def _go_on(self, sha256: str) -> None:
        whole = {self._part(number) for number in range(self.num_parts)}
        there = set(self.folder.iterdir())
        last = self._part(self.num_parts - 1)
        if not whole <= there or (sha256 and _sha256_of_end(last) != sha256):
            raise OptionsError(
                f"{self.folder}: not as it was written: {self.num_parts} parts were changed, or "
                "some of them are gone: begin anew with --force"
            )

    def _check_whole(self, sha256: str) -> None:
        if not self.path.is_file() or _sha256_of_end(self.path) != sha256:
            with contextlib.suppress(OSError):  # it was made to be held
                self.folder.rmdir()
            raise OptionsError(
                f"{self.path}: not as it was written: it was changed, or is gone: begin anew with "
                "--force"
            )

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:08d}.parquet"

    def write(self, window: Window[Any], answers: Sequence[Answer]) -> tuple[int, str]:
        """See `Output`; the size is the number of parts."""
        rows = [row for row, each in enumerate(answers) if isinstance(each, Made)]
        made = [each.values for each in answers if isinstance(each, Made)]
        kept = window.kept.take(self.arrow.array(rows, self.arrow.int64()))
        added = self.schema.names[len(kept.schema.names) :]
        columns = [
            self.arrow.array([values[place] for values in made], self.schema.field(name).type)
            for place, name in enumerate(added)
        ]
        table = self.arrow.Table.from_arrays([*kept.columns, *columns], schema=self.schema)
        part = self._part(self.num_parts)
        self._write_whole(part, iter([table]))
        self.num_parts += 1
        return self.num_parts, _sha256_of_end(part)

    def finish(self) -> tuple[int, str]:
        """See `Output`: the parts become one file, of larger groups of rows."""
        self._write_whole(self.path, self._groups())
        return self.num_parts, _sha256_of_end(self.path)

    def _groups(self) -> Iterator[Any]:
        waiting: list[Any] = []
        for number in range(self.num_parts):
            waiting.append(self.parquet.read_table(self._part(number), schema=self.schema))
            num_rows = sum(each.num_rows for each in waiting)
            if num_rows >= _GROUP_ROWS or sum(each.nbytes for each in waiting) >= _GROUP_BYTES:
                yield self.arrow.concat_tables(waiting)
                waiting = []
        if waiting:
            yield self.arrow.concat_tables(waiting)

    def _write_whole(self, path: Path, tables: Iterator[Any]) -> None:
        """One group of rows a table. Raises: ResultError."""
        unfinished = self.folder / "unfinished"
        try:
            with unfinished.open("wb") as file:
                with self.parquet.ParquetWriter(file, self.schema) as writer:
                    for table in tables:
                        writer.write_table(table, row_group_size=max(1, table.num_rows))
                file.flush()
                os.fsync(file.fileno())
            when_free(lambda: unfinished.replace(path))
            sync_folder(path.parent)
        except OSError as err:
            raise write_error(path, err) from err

    def clear(self) -> None:
        """See `Output`."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """See `Output`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def _sha256_of_end(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        return hashlib.sha256(file.read()).hexdigest()
