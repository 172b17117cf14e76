"""Where an agent may point and lead: selectors that are selectors, and addresses of the visitor's own site."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from agents.tools.reading import BadCall

_SELECTOR = re.compile(r"[A-Za-z0-9_\-#.:*>+~=\"'\[\]()^$|, \u00a1-\uffff]+\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What a browser reads as more than a path, or drops before it reads: both change where an address leads.
_NEVER = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_NOWHERE = "https://nowhere.invalid/"


def check_selector(selector: str) -> str:
    """`selector`, trimmed, where it may be a CSS selector; else BadCall."""
    selector = selector.strip()
    # SECURITY: a page may put it into a style sheet or a script; what ends a rule, a string or a tag is no selector.
    balanced = all(
        selector.count(opening) == selector.count(closing) for opening, closing in (("[", "]"), ("(", ")"))
    ) and all(selector.count(sign) % 2 == 0 for sign in "\"'")
    scripted = any(word in selector.lower() for word in ("javascript:", "url("))
    if not _SELECTOR.match(selector) or not selector.isprintable() or not balanced or scripted:
        raise BadCall("This is not a CSS selector. Use one that you were given, such as #reset-password.")
    return selector


def check_label(label: str) -> str:
    """`label` on one line; else BadCall."""
    if not label.strip() or not label.isprintable():
        raise BadCall("The label is a few words on one line.")
    return label.strip()


def same_site(url: str, *, page: str, origins: Callable[[], Collection[str]]) -> str:
    """`url` normalised, where it is on the visitor's site; else BadCall.

    The site is the origin of `page`, the address that the browser named; and `origins`, asked only where needed. On the
    page's own origin the result is a path.
    """
    url = url.strip(" ")
    # SECURITY: the model's address is followed by a browser, which drops tabs and reads \ as /.
    if not url or _NEVER.search(url) or url.startswith("//"):
        raise BadCall("The address holds what no address of this website does.")
    here = _split(page)
    named = _split(url)
    if named is None or (named.scheme and named.scheme not in _DEFAULT_PORTS) or (named.scheme and not named.netloc):
        raise BadCall("The address must be a path such as /settings, or a full address on this website.")
    if not named.scheme:
        if not url.startswith(("/", "?", "#")) and here is None:
            raise BadCall("The address must begin with /, as it is not known which page the visitor is on.")
        if url.startswith(("?", "#")) and here is None:
            return _written(url)
        joined = _split(urljoin(page if here else _NOWHERE, url))
        if joined is None or _origin(joined) != _origin(here or urlsplit(_NOWHERE)):
            raise BadCall("The address does not lead to a page of this website.")
        return _path_of(joined)
    if here is not None and _origin(named) == _origin(here):
        return _path_of(named)
    if _origin(named) in {_origin(parts) for parts in map(_split, origins()) if parts is not None}:
        scheme, host, port = _origin(named)
        netloc = host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
        return f"{scheme}://{netloc}{_path_of(named)}"
    raise BadCall("The address is on another website. You may only lead to pages of this one.")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or (parts.netloc and not parts.hostname):
        return None
    return parts if url else None


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _path_of(parts: SplitResult) -> str:
    path = parts.path or "/"
    # SECURITY: a path that begins with two slashes is another host for whoever reads it as an address.
    if path.startswith("//"):
        raise BadCall("The address does not lead to a page of this website.")
    return _written(urlunsplit(("", "", path, parts.query, parts.fragment)))


def _written(url: str) -> str:
    return quote(url, safe="%/?#:@!$&'()*+,;=~-._[]")
