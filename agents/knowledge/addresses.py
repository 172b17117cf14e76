"""Addresses of pages: one spelling for each, and which belong to a site."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

MAX_ADDRESS = 1000
MAX_ID = 255
# What only says where a visitor came from.
_TRACKING = re.compile(
    r"^(utm_\w+|fbclid|gclid|gbraid|wbraid|msclkid|mc_cid|mc_eid|igshid|ref_src|_ga)$", re.IGNORECASE
)
_SESSION = re.compile(r"^(phpsessid|jsessionid|sid|sessionid|session_id)$", re.IGNORECASE)
_NOT_PAGES = re.compile(
    r"\.(7z|apk|avi|bmp|bz2|css|csv|dmg|doc|docx|eot|exe|gif|gz|ico|iso|jpe?g|js|json|m4a|m4v|mov|mp3|mp4|mpe?g|msi|"
    r"ogg|ogv|otf|png|pptx?|rar|rss|svg|tar|tgz|tiff?|ttf|wav|webm|webp|wmv|woff2?|xls|xlsx|xml|zip)$",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


def normalised(url: str) -> str:
    """The one spelling of a page's address, without fragment and tracking; empty where it is no address of a page."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
        host = host.encode("idna").decode() if not host.isascii() else host
    except (ValueError, UnicodeError):
        return ""
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host or parts.username is not None or parts.password is not None:
        return ""
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None or str(port) == _PORTS[scheme] else f"{host}:{port}"
    pairs = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _TRACKING.match(name) and not _SESSION.match(name)
    ]
    path = quote(_without_dots(parts.path), safe="/%:@!$&'()*+,;=~-._")
    path = _ESCAPE.sub(lambda escape: escape[0].upper(), path)
    found = urlunsplit((scheme, netloc, path or "/", urlencode(sorted(pairs)), ""))
    return found if len(found) <= MAX_ADDRESS else ""


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept[1:] = kept[1:-1]
        elif part != ".":
            kept.append(part)
    return "/".join(kept)


def article_id(url: str) -> str:
    """The external id of a page's article: its address, or of a long one a part and a hash."""
    if len(url) <= MAX_ID - 20:  # room for the numbers of its parts
        return url
    return f"{url[: MAX_ID - 60]}#{hashlib.sha256(url.encode()).hexdigest()[:32]}"


def origin(url: str) -> str:
    """`https://host[:port]`, where a robots.txt holds."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_sitemap(url: str) -> bool:
    """Whether an address that somebody entered is meant as a sitemap."""
    return urlsplit(url).path.lower().endswith((".xml", ".xml.gz"))


def patterns(text: str) -> list[str]:
    """Path patterns, one a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to a site: its host (with or without www.), what lies below `prefix`, and the path patterns."""

    host: str
    prefix: str = "/"
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @classmethod
    def of(cls, address: str, *, include: str = "", exclude: str = "") -> Scope:
        """The scope that an address and its patterns make; a sitemap's is its whole host."""
        parts = urlsplit(normalised(address))
        path = parts.path
        if is_sitemap(address):
            path = "/"
        elif "." in path.rpartition("/")[2]:  # a page and not a folder
            path = path[: path.rfind("/") + 1]
        path = path if path.endswith("/") else f"{path}/"
        return cls(_bare(parts.netloc), path, patterns(include), patterns(exclude))

    def why_not(self, url: str, *, is_start: bool = False) -> str:
        """Why a normalised address does not belong to the site; empty where it does."""
        parts = urlsplit(url)
        if _bare(parts.netloc) != self.host:
            return "It is on another site."
        if _NOT_PAGES.search(parts.path):
            return "It is not a page."
        if is_start:
            return ""
        if not (parts.path.startswith(self.prefix) or parts.path + "/" == self.prefix):
            return f"It does not lie below {self.prefix}"
        where = parts.path + (f"?{parts.query}" if parts.query else "")
        if any(_matches(where, pattern) for pattern in self.exclude):
            return "Its path is among those that are never read."
        if self.include and not any(_matches(where, pattern) for pattern in self.include):
            return "Its path is not among those that are read."
        return ""


def _bare(netloc: str) -> str:
    return netloc.removeprefix("www.")


def _matches(path: str, pattern: str) -> bool:
    if "*" not in pattern:
        return path.startswith(pattern)
    # SECURITY: a chain of finds, not a regular expression: no pattern takes more than a moment.
    first, *rest = pattern.split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for number, part in enumerate(rest):
        if number == len(rest) - 1 and part:
            return path.endswith(part) and len(path) - len(part) >= at
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True
