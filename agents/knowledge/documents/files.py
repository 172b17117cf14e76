"""PDF and Word files into drafts, and which reader a file is for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator

import lxml.html
import mammoth
import pypdf
from pypdf.errors import PyPdfError

from agents.knowledge.documents.drafts import MAX_FILE, Draft, Undecipherable, Unreadable, in_parts, stem, title_of
from agents.knowledge.documents.markup import to_markdown
from agents.knowledge.documents.texts import read_csv, read_json, read_json_lines, read_text
from agents.knowledge.documents.web import read_html

MAX_PDF_PAGES = 2000
MAX_UNPACKED = 100 * 1024 * 1024
MAX_XML = 30 * 1024 * 1024
_HYPHENS = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"

Reader = Callable[[str, bytes], Iterator[Draft | Unreadable]]


def read_file(name: str, data: bytes) -> list[Draft | Unreadable]:
    """The articles in a file, and notes about it; raises Undecipherable where it holds none.

    Its name says what it is meant to be, its bytes whether it is that.
    """
    if len(data) > MAX_FILE:
        raise Undecipherable(f"It is larger than {MAX_FILE // 1024**2} MB.")
    if not data.strip():
        raise Undecipherable("It is empty.")
    suffix = suffix_of(name)
    reader = READERS.get(suffix)
    if reader is None:
        raise Undecipherable(f"Files of this kind cannot be read. Possible are {', '.join(READERS)}.")
    looks = _looks_like(data)
    if looks and looks != suffix:
        raise Undecipherable(f"It is named {suffix}, but looks like {looks}.")
    if suffix in (".pdf", ".docx") and not looks:
        raise Undecipherable(f"It is named {suffix}, but is none.")
    found = list(reader(name, data))
    if not any(isinstance(item, Draft) for item in found):
        reasons = "; ".join(f"{item.where}: {item.reason}" for item in found[:3] if isinstance(item, Unreadable))
        raise Undecipherable(f"There are no articles in it. {reasons}".strip())
    return found


def suffix_of(name: str) -> str:
    """`.pdf` and the like, in lower case."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""


def _looks_like(data: bytes) -> str:
    if b"%PDF-" in data[:1024]:
        return ".pdf"
    if data[:4] == _OLD_OFFICE:
        raise Undecipherable("It is an old or a protected Office file. Save it as .docx, without a password.")
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if "word/document.xml" in archive.namelist():
                    return ".docx"
        except (zipfile.BadZipFile, OSError, ValueError):
            raise Undecipherable("The file is damaged.") from None
        raise Undecipherable("It is an archive, and not a Word document.")
    return ""


# --- PDF -------------------------------------------------------------------------------------------------------------
def read_pdf(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """One article with a heading for each page, so that a citation says which page."""
    try:
        document = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if document.is_encrypted and not document.decrypt(""):
            raise Undecipherable("It is protected by a password.")
        count = len(document.pages)
        if count > MAX_PDF_PAGES:
            raise Undecipherable(f"It has more than {MAX_PDF_PAGES} pages.")
        pages = [_HYPHENS.sub("", page.extract_text() or "").strip() for page in document.pages]
        title = " ".join(str((document.metadata and document.metadata.title) or "").split())
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, OSError, RecursionError) as error:
        # What a damaged file makes pypdf raise is anything at all.
        raise Undecipherable(f"The PDF is damaged ({type(error).__name__}).") from None
    empty = [number for number, text in enumerate(pages, 1) if not text]
    if len(empty) == count:
        raise Undecipherable("There is no text in it, only pictures: it was scanned. Read it with OCR first.")
    if empty:
        shown = ", ".join(map(str, empty[:10])) + (" and more" if len(empty) > 10 else "")
        yield Unreadable(name, f"No text on page {shown}.")
    if count == 1:
        text = pages[0]
    else:
        text = "\n\n".join(f"## Page {number}\n\n{page}" for number, page in enumerate(pages, 1) if page)
    yield from in_parts(Draft(name, title[:200] or stem(name), text))


# --- Word ------------------------------------------------------------------------------------------------------------
def read_docx(name: str, data: bytes) -> Iterator[Draft | Unreadable]:
    """One article with the document's headings, lists and tables."""
    _check_archive(data)
    try:
        html = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(lambda image: {}))
    except Exception as error:
        # mammoth has no errors of its own: a damaged document raises whatever its parser stumbled over.
        raise Undecipherable(f"The document is damaged ({type(error).__name__}).") from None
    if not html.value.strip():
        raise Undecipherable("There is no text in it.")
    content = to_markdown(lxml.html.fragment_fromstring(html.value, create_parent="div"))
    if not content:
        raise Undecipherable("There is no text in it.")
    yield from in_parts(Draft(name, title_of(content) if content.startswith("#") else stem(name), content))


def _check_archive(data: bytes) -> None:
    """SECURITY: no bombs: what it unpacks to is bounded, and its XML defines nothing of its own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > 5000 or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
                raise Undecipherable("It unpacks to more than a document may.")
            for entry in entries:
                if entry.filename.endswith((".xml", ".rels")):
                    if entry.file_size > MAX_XML:
                        raise Undecipherable("It unpacks to more than a document may.")
                    if b"<!DOCTYPE" in archive.read(entry)[:100_000]:
                        raise Undecipherable("Its XML is not a Word document's.")
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        raise Undecipherable("The file is damaged.") from None


READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".markdown": read_text,
    ".csv": read_csv,
    ".html": read_html,
    ".htm": read_html,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".pdf": read_pdf,
    ".docx": read_docx,
}
