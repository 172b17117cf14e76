"""A page's HTML into its text, its links and what it asks of robots; sitemaps into addresses."""

from __future__ import annotations

import copy
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import lxml.etree
import lxml.html
import trafilatura

from agents.knowledge.documents.drafts import MAX_TITLE, Draft, Page, Undecipherable, in_parts, stem
from agents.knowledge.documents.markup import to_markdown

MAX_LINKS = 5000
# Of less than this, no main part can be told from the rest, and every word is taken.
SHORT = 250
MAX_SITEMAP = 50 * 1024 * 1024
MAX_ADDRESSES = 50_000


def read_page(data: bytes, *, url: str = "", charset: str = "") -> Page:
    """What the page says, as Markdown: its main part, without menus and the like; raises Undecipherable."""
    tree = _parse(data, charset)
    robots = _robots(tree)
    base = _base(tree, url)
    text = trafilatura.extract(
        copy.deepcopy(tree),
        url=url or None,
        output_format="markdown",
        include_comments=False,
        include_formatting=True,
        include_links=True,
        include_tables=True,
        favor_recall=True,
    )
    if not text or len(text) < SHORT:
        text = _whole(tree) or text or ""
    return Page(
        title=_title(tree)[:MAX_TITLE],
        content=text,
        links=list(_links(tree, base)),
        canonical=_canonical(tree, base),
        noindex="noindex" in robots or "none" in robots,
        nofollow="nofollow" in robots or "none" in robots,
    )


def read_html(name: str, data: bytes) -> Iterator[Draft]:
    """An uploaded page as an article."""
    page = read_page(data)
    if not page.content.strip():
        raise Undecipherable("There is no text in it.")
    yield from in_parts(Draft(name, page.title or stem(name), page.content))


def read_sitemap(data: bytes) -> tuple[list[str], list[str]]:
    """The pages and the further sitemaps that a sitemap (XML, packed or not, or one address a line) names."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                # SECURITY: a few packed bytes may unpack to gigabytes.
                data = packed.read(MAX_SITEMAP + 1)
        except (OSError, EOFError, zlib.error):
            raise Undecipherable("The packed sitemap cannot be unpacked.") from None
    if len(data) > MAX_SITEMAP:
        raise Undecipherable("The sitemap is too long.")
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = data.decode("utf-8-sig", "replace").split()
        return [line for line in lines if line.startswith(("http://", "https://"))][:MAX_ADDRESSES], []
    pages: list[str] = []
    sitemaps: list[str] = []
    # SECURITY: no entities, no network, libxml2's own limits on depth and size.
    events = lxml.etree.iterparse(
        io.BytesIO(data), events=("end",), resolve_entities=False, no_network=True, huge_tree=False, recover=True
    )
    try:
        for _, element in events:
            parent = element.getparent()
            if parent is not None and _local(element) == "loc" and element.text and element.text.strip():
                target = sitemaps if _local(parent) == "sitemap" else pages if _local(parent) == "url" else None
                if target is not None and len(target) < MAX_ADDRESSES:
                    target.append(element.text.strip())
            if _local(element) in ("url", "sitemap"):
                element.clear()
    except lxml.etree.XMLSyntaxError:
        raise Undecipherable("The sitemap is not valid XML.") from None
    return pages, sitemaps


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _parse(data: bytes, charset: str) -> Any:
    if not charset:
        try:
            data.decode()
            charset = "utf-8"
        except UnicodeDecodeError:
            charset = ""  # what the page itself says
    for encoding in dict.fromkeys((charset or None, None)):
        try:
            parser = lxml.html.HTMLParser(encoding=encoding, huge_tree=False, no_network=True, remove_comments=True)
            tree = lxml.html.document_fromstring(data, parser=parser)
        except (lxml.etree.LxmlError, LookupError, ValueError, AssertionError):
            continue
        if tree is not None:
            return tree
    raise Undecipherable("There is no HTML in it.")


def _whole(tree: Any) -> str:
    """All that the page says, but for menus, header and footer."""
    bodies = tree.xpath("//main") or tree.xpath("//article") or tree.xpath("//body") or [tree]
    body = copy.deepcopy(bodies[0])
    for part in body.xpath(".//nav | .//header[not(.//h1)] | .//footer | .//aside"):
        part.drop_tree()
    return to_markdown(body)


def _title(tree: Any) -> str:
    """The only first-rank heading, else what the page says of itself."""
    headings = [" ".join(heading.text_content().split()) for heading in tree.iter("h1")]
    said = [*tree.xpath("//meta[@property='og:title']/@content"), *(found.text or "" for found in tree.iter("title"))]
    candidates = [*(headings if len(headings) == 1 else []), *said, *headings]
    return next((title for text in candidates if (title := " ".join(str(text).split()))), "")


def _base(tree: Any, url: str) -> str:
    for href in tree.xpath("//base/@href"):
        return _joined(url, str(href)) or url
    return url


def _links(tree: Any, base: str) -> Iterator[str]:
    seen: set[str] = set()
    for link in tree.iter("a", "area"):
        if len(seen) >= MAX_LINKS:
            return
        if "nofollow" in str(link.get("rel") or "").lower().split():
            continue
        target = _joined(base, str(link.get("href") or ""))
        if target.startswith(("http://", "https://")) and target not in seen:
            seen.add(target)
            yield target


def _canonical(tree: Any, base: str) -> str:
    for link in tree.iter("link"):
        if "canonical" in str(link.get("rel") or "").lower().split():
            target = _joined(base, str(link.get("href") or ""))
            return target if target.startswith(("http://", "https://")) else ""
    return ""


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:
        return ""


def _robots(tree: Any) -> set[str]:
    words: set[str] = set()
    for tag in tree.iter("meta"):
        if str(tag.get("name") or "").lower() in ("robots", "halo"):
            words |= {word.strip() for word in str(tag.get("content") or "").lower().split(",")}
    return words
