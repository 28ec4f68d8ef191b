"""Windows of a Parquet file's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from pegasus_runtime.errors import InputError
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.pyarrow_library import import_pyarrow
from pegasus_runtime.records.window import Place, Position, Window

__all__ = ["ParquetSource"]


class ParquetSource:
    """Files of Parquet, one after another, that have the same columns.

    A window is a pyarrow.RecordBatch of one file. Raises: EngineError without pyarrow.
    """

    def __init__(self, names: Sequence[str], fields: Fields, window: int) -> None:
        self.arrow, self.parquet = import_pyarrow()
        self.names = names
        self.fields = fields
        self.window = window
        self.num_rows = 0

    def check(self) -> None:
        """Whether the files have the text, nothing of what is added, and columns alike.

        Raises: InputError.
        """
        first = self.schema()
        self.num_rows = 0
        for name in self.names:
            with self._open(name) as file:
                schema = file.schema_arrow
                self.num_rows += file.metadata.num_rows
            _check_columns(self.arrow, name, schema, self.fields)
            if not schema.equals(first):
                raise InputError(
                    f"{name}: other columns than {self.names[0]}, {_columns(schema)}, expected "
                    f"{_columns(first)}: run it by itself"
                )

    def schema(self) -> Any:
        """Columns, types and metadata of the first file, a pyarrow.Schema. Raises: InputError."""
        with self._open(self.names[0]) as file:
            return file.schema_arrow

    def windows(self) -> Iterator[Window[Any]]:
        """See `Source`. No window has rows of two files."""
        digest = hashlib.sha256()
        num_windows = num_records = 0
        for name in self.names:
            row = 0
            for batch in self._batches(name):
                digest.update(memoryview(self._bytes_of(batch)))
                places = tuple(
                    Place(file=name, number=row + each) for each in range(1, batch.num_rows + 1)
                )
                row += batch.num_rows
                num_windows, num_records = num_windows + 1, num_records + batch.num_rows
                end = Position(windows=num_windows, records=num_records, sha256=digest.hexdigest())
                yield Window(places=places, kept=batch, num_blank=0, end=end)

    def _bytes_of(self, batch: Any) -> Any:
        """All that is in it; `batch.serialize` would leave out what dictionaries hold."""
        sink = self.arrow.BufferOutputStream()
        with self.arrow.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return sink.getvalue()

    def texts(self, window: Window[Any]) -> list[str | Problem]:
        """See `Source`."""
        null = Problem(
            code="not_a_string", message=f"{self.fields.text!r} is null, expected a string"
        )
        column = window.kept.column(self.fields.text)
        return [null if each is None else each for each in map(self._text, column)]

    def _text(self, cell: Any) -> str | Problem | None:
        try:
            text: str | None = cell.as_py()
            return text
        except UnicodeDecodeError as err:
            return Problem(code="not_utf8", message=f"not UTF-8 (byte {err.start}): convert it")

    def estimate_records(self) -> tuple[int | None, bool]:
        """Rows are counted in the files."""
        return self.num_rows, False

    def _open(self, name: str) -> Any:
        try:
            return self.parquet.ParquetFile(name)
        except (OSError, self.arrow.ArrowException) as err:
            raise _unreadable(name, err) from err

    def _batches(self, name: str) -> Iterator[Any]:
        with self._open(name) as file:
            batches = file.iter_batches(batch_size=self.window)
            while True:
                try:
                    batch = next(batches, None)
                except (OSError, self.arrow.ArrowException) as err:
                    raise _unreadable(name, err) from err
                if batch is None:
                    return
                yield batch


def _unreadable(name: str, error: Exception) -> InputError:
    words = " ".join(str(error).split()).rstrip(".")
    return InputError(f"{name}: cannot be read as Parquet: {words}: check the file")


def _check_columns(arrow: Any, name: str, schema: Any, fields: Fields) -> None:
    taken = next((each for each in fields.added if each in schema.names), None)
    if taken is not None:
        raise InputError(
            f"{name}: has a column {taken!r} already: rename it, or give the summary another name "
            "with --output-field"
        )
    if schema.names.count(fields.text) != 1:
        raise InputError(
            f"{name}: expected one column {fields.text!r}, got {_columns(schema)}: name the text's "
            "with --text-field"
        )
    kind = schema.field(fields.text).type
    if not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind)):
        raise InputError(
            f"{name}: column {fields.text!r} is {kind}, expected string or large_string: convert it"
        )


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
