"""The outermost layer: request ids everywhere; outside the staff's pages every failure is JSON; CORS on the SDK.

And where visitors' requests leave the way of the staff's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

import structlog
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from halo.api.exceptions import bare_response
from halo.ids import uuid7

SDK_PREFIX = "/api/sdk/"
# Where people read what went wrong; everywhere else programs do.
STAFF_PREFIXES = ("/admin/", "/inbox/", "/transcripts/", "/analytics/")
ALLOW_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, X-Session-Id, X-User-Token"
EXPOSE_HEADERS = "X-Session-Id, X-Agent-Id, X-Turn-Id, X-Request-Id, Retry-After"
_View = Callable[[HttpRequest], HttpResponseBase]
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


class ApiBoundary:
    """Wraps all other middleware, so that what they raise leaves in the specified shape too.

    CORS is a constant here, not django-cors-headers: the answer is `*` for everyone, with or without an `Origin`,
    and must stand on responses that no view made.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request)
        request.halo_request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        # A base URL that ends in a slash makes two of them; the answer is a 404, but one that the client can read.
        path = "/" + request.path_info.lstrip("/")
        sdk = path.startswith(SDK_PREFIX)
        if sdk:
            # No cookies here: whatever middleware would read or set them finds none.
            request.META.pop("HTTP_COOKIE", None)
        response: HttpResponseBase
        if sdk and request.method == "OPTIONS":
            response = HttpResponse(status=204)
            response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response["Access-Control-Allow-Headers"] = ALLOW_HEADERS
            response["Access-Control-Max-Age"] = "86400"
        else:
            response = self.get_response(request)
            if (
                response.status_code >= 400
                and not path.startswith(STAFF_PREFIXES)
                and not response.get("Content-Type", "").startswith("application/json")
            ):
                response = bare_response(response.status_code, request_id=request_id)
        response["X-Request-Id"] = request_id
        if sdk:
            response.cookies.clear()
            if "Cookie" in response.get("Vary", ""):
                del response["Vary"]
            for name, value in sdk_headers(request_id).items():
                response.headers.setdefault(name, value)
        return response


def sdk_headers(request_id: str) -> dict[str, str]:
    """What every answer under /api/sdk/ has."""
    return {
        "X-Request-Id": request_id,
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": EXPOSE_HEADERS,
        # SECURITY: none of it is a page, whatever somebody makes a browser open.
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Frame-Options": "DENY",
    }


class _Views(BaseHandler):
    """Django's own way to a view with no middleware before it."""

    _view_middleware = _template_response_middleware = _exception_middleware = ()


class ShortWay:
    """Sends visitors' requests straight to their views: what is behind it is for pages, cookies, forms and log-ins."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.view = cast(_View, convert_exception_to_response(_Views()._get_response))  # type: ignore[attr-defined]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(SDK_PREFIX):
            return self.view(request)
        return self.get_response(request)


def request_id_of(request: HttpRequest) -> str:
    """The caller's `X-Request-Id` where it is sane, else a new one."""
    return sane_id(request.META.get("HTTP_X_REQUEST_ID", ""))


def sane_id(given: str) -> str:
    """`given` where it may stand in headers and logs, else a new request id."""
    return given if _SANE_ID.match(given) else str(uuid7())
