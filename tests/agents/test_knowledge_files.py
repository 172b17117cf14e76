"""Files of every kind become articles, are kept, read again, and taken out with what came from them."""

from __future__ import annotations

import io
import json
import zipfile

import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from agents import sources
from agents.knowledge.documents.drafts import MAX_FILE, PART, Draft, Undecipherable, Unreadable
from agents.knowledge.documents.files import read_file
from agents.knowledge.documents.reader import DocumentReader
from agents.knowledge.documents.web import read_sitemap
from agents.knowledge.importing import import_articles
from agents.knowledge.runs import work as work_on
from agents.models import Article, Passage, Source, SourceFile, SourceRun
from agents.sources import Upload
from tests.cast import Cast


def pdf(*texts: str, password: str = "") -> bytes:
    """A PDF with a page for each text."""
    writer = pypdf.PdfWriter()
    for text in texts:
        page = writer.add_blank_page(400, 400)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 20 300 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = content
    if password:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
BODY = (
    '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Travel</w:t></w:r></w:p>'
    "<w:p><w:r><w:t>Book &lt;early&gt;.</w:t></w:r></w:p>"
    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>City</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Limit</w:t></w:r></w:p></w:tc>"
    "</w:tr><w:tr><w:tc><w:p><w:r><w:t>Paris</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>150</w:t></w:r></w:p></w:tc>"
    "</w:tr></w:tbl>"
)


def docx(body: str = BODY, *, before: str = "", more: dict[str, bytes] | None = None) -> bytes:
    """The least that is a Word document."""
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    rels = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>'
    styles = f'<w:styles {W}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style></w:styles>'
    word_rels = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("_rels/.rels", rels)
        archive.writestr("word/_rels/document.xml.rels", word_rels)
        archive.writestr("word/styles.xml", styles)
        archive.writestr("word/document.xml", f"{before}<w:document {W}><w:body>{body}</w:body></w:document>")
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


PAGE = b"<html><head><title>Fees | Site</title></head><body><script>alert(1)</script><h1>Fees</h1><p onclick='x()'>Ten euros. <a href='javascript:x'>more</a></p></body></html>"


@pytest.mark.parametrize(
    ("name", "data", "titles", "said"),
    [
        ("a.txt", "\ufeffOpening hours\n\nNine to five.".encode(), ["Opening hours"], "Nine to five."),
        ("a.txt", "Zwölf".encode("utf-16"), ["Zwölf"], "Zwölf"),
        ("a.md", b"Intro\n\n# The guide\n\nDo it.", ["The guide"], "Do it."),
        ("a.html", PAGE, ["Fees"], "Ten euros."),
        ("a.csv", "Plan;Price\n\nBasic;10 \u20ac, monthly\n".encode(), ["a"], "- Price: 10 €, monthly"),
        ("a.csv", b"question,answer\nHow?,Like this\nWhy?,Because\n", ["How?", "Why?"], "Like this"),
        ("a.json", b'[{"id": 7, "title": "A", "body": "text"}]', ["A"], "text"),
        ("a.json", b'{"articles": [{"title": "A", "content": "text"}]}', ["A"], "text"),
        ("a.json", b'{"shop": {"open": true, "days": ["Mon"]}}', ["a"], "## shop\n\nopen: yes"),
        ("a.jsonl", b'{"id": "x", "title": "X", "content": "text"}\nbroken\n', ["X"], "text"),
        ("a.pdf", pdf("Refunds take ten days", "Write to us"), ["a"], "## Page 2\n\nWrite to us"),
        ("a.docx", docx(), ["Travel"], "| City | Limit |\n|---|---|\n| Paris | 150 |"),
    ],
)
def test_each_kind_of_file_becomes_articles_as_markdown(name: str, data: bytes, titles: list[str], said: str) -> None:
    drafts = [item for item in read_file(name, data) if isinstance(item, Draft)]
    assert [draft.title for draft in drafts] == titles
    assert said in drafts[0].content
    assert "alert" not in drafts[0].content and "javascript" not in drafts[0].content


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.pdf", b"not one", "named .pdf, but is none"),
        ("a.pdf", b"%PDF-1.7\ngarbage", "damaged"),
        ("a.pdf", pdf("", ""), "scanned"),
        ("a.pdf", pdf("secret", password="x"), "protected by a password"),
        ("a.txt", pdf("text"), "looks like .pdf"),
        ("a.txt", b"\x00\x01", "not a text file"),
        ("a.txt", b"  \n", "empty"),
        ("a.exe", b"MZ", "cannot be read"),
        ("a.docx", b"\xd0\xcf\x11\xe0old", "protected Office file"),
        ("a.docx", docx()[:-30], "damaged"),
        ("a.docx", docx(before='<!DOCTYPE x [<!ENTITY a "aa">]>'), "XML is not a Word document's"),
        ("a.docx", docx(more={"word/big.xml": b" " * (31 * 1024 * 1024)}), "unpacks to more"),
        ("a.docx", docx(""), "no text"),
        ("a.csv", b"only,columns\n", "no rows"),
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.json", b'{"a":' * 60 + b"1" + b"}" * 60, "nested too deeply"),
        ("a.jsonl", b"nothing\n", "no articles"),
        ("a.html", b"<html><body><script>x</script></body></html>", "no text"),
        ("a.txt", b"x" * (MAX_FILE + 1), "larger than 10 MB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(name: str, data: bytes, why: str) -> None:
    with pytest.raises(Undecipherable, match=why):
        read_file(name, data)


def test_old_encodings_are_read_with_a_note_and_long_texts_in_parts() -> None:
    note, draft = read_file("a.txt", "Café, 10 \u20ac".encode("cp1252"))
    assert isinstance(note, Unreadable) and "Windows-1252" in note.reason
    assert isinstance(draft, Draft) and draft.content == "Café, 10 €"
    parts = read_file("long.md", b"# Long\n\n" + b"Some words. \n\n" * 40_000)
    assert all(isinstance(part, Draft) and len(part.content) <= PART for part in parts) and len(parts) == 3
    assert [part.external_id for part in parts if isinstance(part, Draft)] == [
        "long.md",
        "long.md#part-2",
        "long.md#part-3",
    ]


def test_hostile_markup_takes_neither_time_nor_memory() -> None:
    (draft,) = read_file("deep.html", b"<p>Shallow</p>" + b"<div>" * 50_000 + b"Deep" + b"</div>" * 50_000)
    assert isinstance(draft, Draft) and "Shallow" in draft.content
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    pages, _ = read_sitemap(f"{bomb}]><urlset><url><loc>https://a.example/&i;</loc></url></urlset>".encode())
    assert len("".join(pages)) < 1000


def test_a_document_that_takes_too_long_is_given_up_and_the_next_one_is_read() -> None:
    reader = DocumentReader()
    reader.read_file("a.txt", b"warm")
    with pytest.raises(Undecipherable, match="longer to read"):
        reader.read_file("a.html", b"<p>text</p>" * 200_000, seconds=0.01)
    assert reader.read_file("b.txt", b"The next one")[0].title == "The next one"  # type: ignore[union-attr]


# --- Sources of files ------------------------------------------------------------------------------------------------
def add(cast: Cast, *uploads: tuple[str, bytes], kind: str = "upload") -> Source:
    source = Source(org=cast.acme.org, kind=kind, name="Files", every="never")
    return sources.add_source(source=source, by=cast.sue, uploads=[Upload(*upload) for upload in uploads])


def work(source: Source) -> SourceRun:
    run = SourceRun.objects.filter(source=source).latest("created_at")
    while run.is_open:
        work_on(run.pk, run.claim)
        run.refresh_from_db()
    return run


def articles(source: Source) -> set[str]:
    return set(Article.objects.filter(source=source).values_list("external_id", flat=True))


def test_files_are_read_and_a_file_of_the_same_name_takes_the_other_one_s_place(cast: Cast) -> None:
    rows = b"title,content\nOne,first\nTwo,second\n"
    source = add(cast, ("faq.csv", rows), ("note.md", b"# Note\n\nText."), ("bad.pdf", b"no"))
    run = work(source)
    assert (run.status, run.created) == ("done", 3) and "1 file could not be read" in run.note
    assert run.documents.get(key="bad.pdf").reason == "It is named .pdf, but is none."
    assert Passage.objects.filter(article__source=source, org=cast.acme.org).count() == 3

    files = [Upload("faq.csv", b"title,content\nOne,first\nThree,third\n")]
    sources.add_files(source=source, uploads=files, by=cast.sue)
    run = work(source)
    assert (run.created, run.updated, run.unchanged, run.removed) == (0, 1, 2, 0)
    assert SourceFile.objects.filter(source=source).count() == 3
    assert set(Article.objects.values_list("title", flat=True)) == {"One", "Three", "Note"}

    # What was readable once stays when the file is replaced by one that is not.
    sources.add_files(source=source, uploads=[Upload("note.md", b"\x00")], by=cast.sue)
    assert work(source).status == "done"
    assert "note.md" in articles(source)


def test_removing_a_file_or_a_source_removes_what_came_from_it_at_once(cast: Cast) -> None:
    source = add(cast, ("a.md", b"# A\n\nText."), ("b.md", b"# B\n\nText."))
    work(source)
    assert sources.remove_file(file=SourceFile.objects.get(name="a.md"), by=cast.sue) == 1
    assert articles(source) == {"b.md"} and Passage.objects.count() == 1
    other = sources.add_source(
        source=Source(org=cast.globex.org, kind="upload", name="Files"),
        by=cast.gus,
        uploads=[Upload("b.md", b"# B\n\nTheirs.")],
    )
    work(other)
    assert sources.delete_source(source=source, by=cast.sue) == 1
    assert not Source.objects.filter(org=cast.acme.org).exists()
    assert [passage.org for passage in Passage.objects.all()] == [cast.globex.org]


def test_json_lines_add_and_update_and_leave_what_load_articles_brought(cast: Cast) -> None:
    import_articles(org=cast.acme.org, source_name="Files", drafts=[Draft("old", "Old", "Text.")])
    source = Source.objects.get(name="Files")
    lines = [{"id": str(number), "title": f"T{number}", "content": "Text."} for number in range(20)]
    data = "\n".join(map(json.dumps, lines)).encode()
    sources.add_files(source=source, uploads=[Upload("export.jsonl", data)], by=cast.sue)
    assert work(source).created == 20
    assert articles(source) == {"old", *map(str, range(20))}
    import_articles(org=cast.acme.org, source_name="Files", drafts=[Draft("3", "T3", "New text.")])
    assert Article.objects.get(external_id="3").content == "New text."


def test_nothing_that_can_be_read_fails_and_keeps_what_is_there(cast: Cast) -> None:
    source = add(cast, ("a.md", b"# A\n\nText."))
    work(source)
    sources.add_files(source=source, uploads=[Upload("a.md", b"\x00")], by=None)
    run = work(source)
    assert run.status == "failed" and "a.md: It is not a text file." in run.note
    assert articles(source) == {"a.md"}


def test_files_of_another_kind_and_too_many_bytes_are_not_taken(cast: Cast) -> None:
    for name, data in (("a.exe", b"x"), ("a.txt", b""), ("a.txt", b"x" * (MAX_FILE + 1))):
        with pytest.raises(sources.InvalidRequest):
            add(cast, (name, data))
    with pytest.raises(sources.InvalidRequest):
        add(cast, ("a.pdf", b"%PDF-"), kind="import")
    assert not Source.objects.exists()
    assert sources.file_name("C:\\docs\\" + "n" * 300 + ".pdf").endswith(".pdf")
