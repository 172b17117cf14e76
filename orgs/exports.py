"""Tables that leave Halo as CSV (RFC 4180): what is opened in a spreadsheet must not run there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PIECE = 16_384


def csv_response(*, name: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> StreamingHttpResponse:
    """A download called `name`.csv, written as its rows come."""
    return StreamingHttpResponse(
        csv_lines(header, rows),
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


def csv_lines(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """The table, in pieces of some kilobytes; it begins with the mark that spreadsheets know UTF-8 by."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write("\ufeff")
    writer.writerow(header)
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
        # A piece a row would cost a write to the socket each.
        if buffer.tell() >= PIECE:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def in_pieces(texts: Iterable[str]) -> Iterator[str]:
    """The same text, in pieces of some kilobytes."""
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= PIECE:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)
