"""Text, Markdown, JSON Lines, JSON and CSV into drafts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from agents.knowledge.documents.drafts import MAX_CONTENT, Draft, Undecipherable, Unreadable, in_parts, stem, title_of

MAX_ROWS = 50_000
MAX_DEPTH = 40
NOT_UTF8 = "Not all of it is UTF-8: it was read as Windows-1252. If letters look wrong, save it as UTF-8."
_TITLES = ("title", "name", "question", "heading", "subject")
_CONTENTS = ("content", "body", "text", "answer", "description")
_IDS = ("id", "key", "slug", "uuid")
_URLS = ("url", "link", "address")
_DELIMITERS = ",;\t|"


def decode(data: bytes) -> tuple[str, str]:
    """The text, and what to know about it: UTF-8 or UTF-16 with its mark, UTF-8, else Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), ""
        except UnicodeDecodeError:
            raise Undecipherable("It begins like UTF-16 text, but is none.") from None
    if b"\x00" in data:
        raise Undecipherable("It is not a text file.")
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), NOT_UTF8


def read_text(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """One article, titled by its first heading or line."""
    text, note = decode(data)
    if note:
        yield Unreadable(name, note)
    yield from in_parts(Draft(name, title_of(text) or stem(name), text))


def read_json_lines(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """An article a line, with the ids that the lines have."""
    for number, line in enumerate(io.BytesIO(data), 1):
        if line.strip():
            yield from_line(line, f"{name}, line {number}")


def from_line(line: bytes, where: str) -> Draft | Unreadable:
    """The article in one line of JSON Lines: `id`, `title`, `content` and, if there is one, `url`."""
    try:
        row: Any = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Unreadable(where, "is not UTF-8 text")
    except (ValueError, RecursionError):
        return Unreadable(where, "is not JSON")
    if not isinstance(row, dict):
        return Unreadable(where, "is not a JSON object")
    if isinstance(row.get("id"), int) and not isinstance(row["id"], bool):
        row["id"] = str(row["id"])
    row["url"] = row.get("url") or ""
    for name in ("id", "title", "content", "url"):
        if not isinstance(row.get(name), str):
            return Unreadable(where, f"`{name}` is {'not a string' if name in row else 'missing'}")
    return Draft(external_id=row["id"], title=row["title"], content=row["content"], url=row["url"])


# --- JSON ------------------------------------------------------------------------------------------------------------
def read_json(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """Objects with a title and a content are an article each; anything else is one article that says what is there."""
    text, note = decode(data)
    if note:
        yield Unreadable(name, note)
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Undecipherable("It is not valid JSON.") from None
    rows = _rows_in(value)
    drafts = [_from_row(name, number, row) for number, row in enumerate(rows, 1)]
    if drafts and all(draft is not None for draft in drafts):
        for draft in drafts:
            assert draft is not None
            yield from in_parts(draft)
        return
    lines = list(_rendered(value, 2))
    yield from in_parts(Draft(name, stem(name), "\n".join(lines).strip()))


def _rows_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if _pick(value, _TITLES) and _pick(value, _CONTENTS):
            return [value]
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(lists) == 1 else []
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else []


def _from_row(name: str, number: int, row: dict[str, Any]) -> Draft | None:
    title, content = _pick(row, _TITLES), _pick(row, _CONTENTS)
    if not title or content is None:
        return None
    key = _pick(row, _IDS) or str(number)
    url = _pick(row, _URLS) or ""
    return Draft(f"{name}#{key}"[:255], title, content, url if url.startswith(("http://", "https://")) else "")


def _pick(row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of the columns that has a text or number, whatever the case of its name."""
    by_name = {str(key).strip().lower(): value for key, value in row.items()}
    for name in names:
        value = by_name.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return None


def _rendered(value: Any, level: int, name: str = "") -> Iterator[str]:
    """Headings for what holds something, `name: value` for what is something."""
    if level > MAX_DEPTH:
        raise Undecipherable("It is nested too deeply.")
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                if level <= 6:
                    yield f"\n{'#' * level} {_one_line(key)}\n"
                yield from _rendered(item, level + 1, _one_line(key))
            else:
                yield f"{_one_line(key)}: {_scalar(item)}  "
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            if isinstance(item, (dict, list)) and item:
                label = (_pick(item, (*_TITLES, *_IDS)) if isinstance(item, dict) else None) or f"{name} {number}"
                if level <= 6:
                    yield f"\n{'#' * level} {_one_line(label)}\n"
                yield from _rendered(item, level + 1, name)
            else:
                yield f"- {_scalar(item)}"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or value in ([], {}):
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())[:200]


# --- CSV -------------------------------------------------------------------------------------------------------------
def read_csv(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """An article a row where there are columns for title and content, else one article with every row in words."""
    text, note = decode(data)
    if note:
        yield Unreadable(name, note)
    csv.field_size_limit(MAX_CONTENT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        rows = [row for _, row in zip(range(MAX_ROWS + 2), reader, strict=False) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Undecipherable(f"It is not a table: {error}.") from None
    if len(rows) < 2:
        raise Undecipherable("It has no rows below its first line, which names the columns.")
    if len(rows) > MAX_ROWS + 1:
        raise Undecipherable(f"It has more than {MAX_ROWS:,} rows.")
    columns = [_one_line(cell) or f"Column {number}" for number, cell in enumerate(rows[0], 1)]
    named = [dict(zip(columns, row, strict=False)) for row in rows[1:]]
    known = {column.lower() for column in columns}
    if known & {*_TITLES} and known & {*_CONTENTS}:
        for number, row in enumerate(named, 1):
            draft = _from_row(name, number, row)
            if draft is None:
                yield Unreadable(f"{name}, row {number + 1}", "has no title or no content")
            else:
                yield from in_parts(draft)
        return
    yield from in_parts(Draft(name, stem(name), "\n\n".join(_row_in_words(row) for row in named)))


def _row_in_words(row: dict[str, str]) -> str:
    cells = [(column, " ".join(cell.split())) for column, cell in row.items() if cell.strip()]
    return "\n".join([f"## {cells[0][1][:200]}", "", *(f"- {column}: {cell}" for column, cell in cells)])


def _delimiter(text: str) -> str:
    """What separates the cells: that which gives most columns, the same number in most of the first lines."""
    sample = text[:20_000].splitlines()[:20]

    def score(delimiter: str) -> tuple[int, int]:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            return 0, 0
        return (widths.count(widths[0]) * min(widths[0] - 1, 1), widths[0]) if widths else (0, 0)

    return max(_DELIMITERS, key=score)
