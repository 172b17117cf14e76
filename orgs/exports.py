"""Tables that leave Halo as CSV (RFC 4180): what is opened in a spreadsheet must not run there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_response(*, name: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> StreamingHttpResponse:
    """A download called `name`.csv, written row by row; UTF-8 with the mark that spreadsheets know it by."""
    return StreamingHttpResponse(
        _lines(header, rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def safe_cell(value: Any) -> Any:
    """The value as a cell that no spreadsheet runs: a string that begins like a formula gets an apostrophe."""
    # SECURITY: visitors write what is exported. Numbers are ours, and stay numbers.
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _lines(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    yield "\ufeff" + _taken(buffer)
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
        yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
