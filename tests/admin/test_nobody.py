"""Whoever is not logged in gets the login page, whatever the address."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.cast import Cast

# Bearer links, and the login itself.
OPEN = {"admin/login/", "admin/set-password/x/x/"}


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith("admin/"):
            path = re.sub(r"<uuid:\w+>", str(uuid.uuid4()), path)
            path = re.sub(r"<int:\w+>", "1", path)
            yield re.sub(r"<[^>]*>", "x", path)


def test_every_address_but_the_login_asks_nobody_in(cast: Cast) -> None:
    known = [path for path in addresses(get_resolver()) if "(?" not in path]  # a pattern for what is left
    assert len(known) > 100
    for path in known:
        for method in ("get", "post"):
            answer = getattr(Client(), method)(f"/{path}")
            if path in OPEN:
                assert answer.status_code == 200, path
            else:  # `logout` leads home, and from there to the login
                assert answer.status_code == 302, (path, method)
                assert path == "admin/logout/" or answer["Location"].startswith("/admin/login/"), (path, method)
