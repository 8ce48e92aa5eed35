"""Usage as files that are written while they are read: CSV, and Parquet where pyarrow is installed.

Each takes rows piece by piece and returns the bytes that the file has grown by, so that none is ever whole in memory.
"""

import csv
import importlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

ROW_GROUP_ROWS: Final = 10_000
"""Rows of one row group of a Parquet file. It is in memory until it is written, at about 200 bytes a row."""

Rows = Sequence[tuple[Any, ...]]


class MissingPackageError(Exception):
    """The format needs a package that is not installed."""


class UsageFile(Protocol):
    """A file in the making."""

    content_type: str

    def add(self, rows: Rows) -> bytes:
        """Add rows; return the bytes that they make final, which may be none."""

    def finish(self) -> bytes:
        """Return the end of the file."""


FORMULA_STARTS: Final = ("=", "+", "-", "@")
"""A spreadsheet takes a text that begins so for a formula, and keys are named by whoever has them."""


class CSVFile:
    """RFC 4180 with a line of names. Empty fields are unknown, moments are ISO 8601 in UTC, money is nano-USD.

    A text that a spreadsheet would compute has an apostrophe before it.

    Args:
        columns: names and types, of which the first one is a moment and no other.
    """

    content_type = "text/csv; charset=utf-8"

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)
        self._writer.writerow(columns)

    def add(self, rows: Rows) -> bytes:
        """See `UsageFile.add`."""
        self._writer.writerows(map(_fields, rows))
        return self._take()

    def finish(self) -> bytes:
        """See `UsageFile.finish`."""
        return self._take()

    def _take(self) -> bytes:
        data = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return data


def _fields(row: tuple[Any, ...]) -> list[Any]:
    return [value.isoformat() if number == 0 else _field(value) for number, value in enumerate(row)]


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


class _Growth(io.RawIOBase):
    """A file that hands over what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class ParquetFile:
    """Parquet with zstd, a row group at a time.

    Args:
        columns: names, and types as Postgres calls them.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """

    content_type = "application/vnd.apache.parquet"

    def __init__(self, columns: Mapping[str, str]) -> None:
        try:
            self._arrow = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingPackageError("pyarrow") from error
        arrow = self._arrow
        types = {
            "timestamptz": arrow.timestamp("ms", tz="UTC"),
            "text": arrow.string(),
            "integer": arrow.int32(),
            "bigint": arrow.int64(),
            "boolean": arrow.bool_(),
        }
        self._schema = arrow.schema([(name, types[kind]) for name, kind in columns.items()])
        self._file = _Growth()
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._waiting: list[Any] = []

    def add(self, rows: Rows) -> bytes:
        """See `UsageFile.add`."""
        columns = [
            self._arrow.array(column, type=kind)
            for column, kind in zip(zip(*rows, strict=True), self._schema.types, strict=True)
        ]
        self._waiting.append(self._arrow.record_batch(columns, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= ROW_GROUP_ROWS:
            self._write()
        return self._file.take()

    def finish(self) -> bytes:
        """See `UsageFile.finish`."""
        if self._waiting:
            self._write()
        self._writer.close()
        return self._file.take()

    def _write(self) -> None:
        self._writer.write_table(self._arrow.Table.from_batches(self._waiting), row_group_size=ROW_GROUP_ROWS * 2)
        self._waiting.clear()


FORMATS: Final[dict[str, type[CSVFile] | type[ParquetFile]]] = {"csv": CSVFile, "parquet": ParquetFile}
