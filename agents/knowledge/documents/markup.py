"""HTML into Markdown where every word counts (Word documents, short pages): headings, lists, tables, links, code."""

from __future__ import annotations

import re
from typing import Any

_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "html", "main", "nav", "p", "section", "summary",
}  # fmt: skip
_LEFT_OUT = {
    "button", "canvas", "embed", "head", "iframe", "img", "input", "link", "math", "meta", "noscript", "object",
    "script", "select", "style", "svg", "template", "textarea", "title", "video", "audio",
}  # fmt: skip
_STRONG, _EMPHASIS = {"b", "strong"}, {"em", "i"}
_SPACES = re.compile(r"[ \t\r\n\f]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def to_markdown(element: Any) -> str:
    """The Markdown of an lxml element; scripts, forms and pictures are left out."""
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in _block(element).split("\n"))).strip()


def _block(element: Any) -> str:
    """The element's children as blocks, what stands between them as paragraphs."""
    parts: list[str] = []
    line: list[str] = [element.text or ""]

    def end_line() -> None:
        text = _SPACES.sub(" ", "".join(line).replace("\n", " ")).replace("\x00", "  \n").strip()
        if text:
            parts.append(text)
        line.clear()

    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        block = "" if tag in _LEFT_OUT or not tag else _as_block(child, tag)
        if block is None:
            line.append(_inline(child, tag))
        elif tag not in _LEFT_OUT and tag:
            end_line()
            if block:
                parts.append(block)
        line.append(child.tail or "")
    end_line()
    return "\n\n".join(parts)


def _as_block(element: Any, tag: str) -> str | None:
    """The element as a block of its own; None where it belongs into a line."""
    if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
        text = _line(element)
        return f"{'#' * int(tag[1])} {text}" if text else ""
    if tag in ("ul", "ol"):
        return _list(element, tag)
    if tag == "table":
        return _table(element)
    if tag == "pre":
        text = "".join(element.itertext()).strip("\n")
        fence = "```" if "```" not in text else "~~~~~"
        return f"{fence}\n{text}\n{fence}"
    if tag == "hr":
        return ""
    if tag == "blockquote":
        return "\n".join(f"> {line}" for line in _block(element).split("\n"))
    return _block(element) if tag in _BLOCKS else None


def _list(element: Any, tag: str) -> str:
    lines = []
    items = [child for child in element if child.tag == "li"]
    for number, item in enumerate(items, 1):
        mark = f"{number}. " if tag == "ol" else "- "
        first, *rest = re.sub(r"\n{2,}", "\n", _block(item)).split("\n")
        lines.append(mark + first)
        lines += [" " * len(mark) + line for line in rest]
    return "\n".join(lines)


def _table(element: Any) -> str:
    rows = [[_cell(cell) for cell in row if cell.tag in ("td", "th")] for row in element.iter("tr")]
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    width = max(map(len, rows))
    if width == 1:
        return "\n\n".join(row[0] for row in rows)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * width, *lines[1:]])


def _cell(element: Any) -> str:
    return " ".join(_block(element).split()).replace("|", "\\|")


def _line(element: Any) -> str:
    parts = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if tag and tag not in _LEFT_OUT:
            parts.append(_inline(child, tag))
        parts.append(child.tail or "")
    return _SPACES.sub(" ", "".join(parts)).replace("\x00", " ").strip()


def _inline(element: Any, tag: str) -> str:
    if tag == "br":
        return "\x00"
    text = _line(element)
    if not text:
        return " "
    if tag in _STRONG:
        return f"**{text}**"
    if tag in _EMPHASIS:
        return f"*{text}*"
    if tag == "code":
        return f"`{text}`"
    href = str(element.get("href") or "") if tag == "a" else ""
    # SECURITY: `javascript:` and the like stay behind.
    return f"[{text}]({href})" if href.startswith(("http://", "https://", "mailto:")) and " " not in href else text
