"""The built widget, as pages of other sites load it: `/widget.js`, and what that names by a hash of its content."""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

LOADER = "widget.js"
# A new version of the loader is everywhere after that.
LOADER_SECONDS = 300
FOR_EVER = "public, max-age=31536000, immutable"
_HASHED = re.compile(r"([a-z]{2,10})-[0-9a-f]{12}\.js")


@dataclass(frozen=True, slots=True)
class Built:
    """A built file, as it is and packed."""

    content: bytes
    packed: bytes
    etag: str


@csrf_exempt
@require_safe
def loader(request: HttpRequest) -> HttpResponse:
    """What a page names in its snippet; asked for again after some minutes."""
    return _response(request, _built()[LOADER], f"public, max-age={LOADER_SECONDS}")


@csrf_exempt
@require_safe
def part(request: HttpRequest, name: str) -> HttpResponse:
    """A file that the loader, or one that it loaded, names; kept for ever, as another content has another name."""
    files = _built()
    if name in files and name != LOADER:
        return _response(request, files[name], FOR_EVER)
    # A loader from a cache, or from a process of another version during a deploy: this version's file will do.
    found = _HASHED.fullmatch(name)
    now = next((file for file in files if found and file.startswith(f"{found[1]}-")), None)
    if now is None:
        raise Http404
    return _response(request, files[now], "no-store")


@functools.cache
def _built() -> dict[str, Built]:
    """All files by their names. SECURITY: names from outside are only ever looked up here, never in a folder."""
    folder = settings.BASE_DIR / "widget" / "dist"
    return {path.name: _pack(path.read_bytes()) for path in folder.glob("*.js")}


def _pack(content: bytes) -> Built:
    return Built(content, gzip.compress(content, 9, mtime=0), f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _response(request: HttpRequest, built: Built, caching: str) -> HttpResponse:
    packed = bool(re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", request.headers.get("Accept-Encoding", "")))
    headers = {
        "Cache-Control": caching,
        # The two forms are different bytes.
        "ETag": f"W/{built.etag}" if packed else built.etag,
        "Vary": "Accept-Encoding",
        # Public, and meant for pages of any origin: modules are only loaded with the first, isolated pages ask for
        # the second.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    unchanged = get_conditional_response(request, etag=headers["ETag"])
    if unchanged is not None:
        for name, value in headers.items():
            unchanged[name] = value
        return unchanged
    if packed:
        headers["Content-Encoding"] = "gzip"
    return HttpResponse(
        built.packed if packed else built.content, content_type="text/javascript; charset=utf-8", headers=headers
    )
