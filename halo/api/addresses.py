"""Where a request came from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

MAX_PAGE = 2000


def client_address(request: HttpRequest) -> str:
    """The client's address; forwarded headers are believed only behind `HALO_PROXIES` proxies of our own."""
    # SECURITY: every proxy of ours appends one entry, so the entry of the outermost one is counted from the end;
    # whatever stands before it was written by the client.
    if settings.HALO_PROXIES:
        forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(forwarded) >= settings.HALO_PROXIES and forwarded[-settings.HALO_PROXIES]:
            return forwarded[-settings.HALO_PROXIES][:64]
    return request.META.get("REMOTE_ADDR") or "unknown"


def page_of(request: HttpRequest) -> str:
    """The page that a browser says it is on: the Referer, else the Origin; empty where neither is an http address."""
    for name in ("HTTP_REFERER", "HTTP_ORIGIN"):
        given = request.META.get(name, "")
        if given.startswith(("https://", "http://")) and given.isprintable():
            return given[:MAX_PAGE]
    return ""
