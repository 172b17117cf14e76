"""Hostile Markdown as HTML for staff: an allow-list of tags, no images, and every link says where it leads."""

from __future__ import annotations

from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")


def render(text: str) -> SafeString:
    """SECURITY: `text` is a model's or a document's; nothing but the tags above and the links' addresses survives."""
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.children:
            token.children = _with_hosts(token.children)
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return mark_safe(  # noqa: S308
        nh3.clean(
            html,
            tags=_TAGS,
            attributes={"*": set(), "a": {"href"}},
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer",
        )
    )


def host_of(url: str) -> str:
    """The host that `url` leads to, for showing; empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def link(url: str, text: str) -> SafeString:
    """A link to a web address with its host behind it; plain text where it is no such address."""
    host = host_of(url)
    if not host or urlsplit(url).scheme not in ("http", "https"):
        return escape(text)
    return mark_safe(  # noqa: S308
        f'<a class="halo-link" href="{escape(url)}" rel="noopener noreferrer" target="_blank">{escape(text)}</a>'
        f' <span class="halo-host">{escape(host)}</span>'
    )


def _with_hosts(tokens: list[Token]) -> list[Token]:
    result, hosts = [], []
    for token in tokens:
        result.append(token)
        if token.type == "link_open":
            hosts.append(host_of(str(token.attrGet("href") or "")))
        elif token.type == "link_close" and (host := hosts.pop()):
            result.append(Token("text", "", 0, content=f" ({host})"))
    return result
