"""One line a request: method, path, status, milliseconds. No header, token, query string or text."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from halo import metrics

log = structlog.get_logger("halo.access")
_SESSION_ID = re.compile(r"sess_[A-Za-z0-9_-]+")


def hashed(secret: str) -> str:
    """A short stable stand-in for a value that logs must not hold."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def safe_path(path: str) -> str:
    """`path` with session ids replaced by their hashes, cut to 300 characters."""
    # SECURITY: a session id is a bearer value; whoever reads logs must not be able to continue a session.
    return _SESSION_ID.sub(lambda found: "sess:" + hashed(found.group()), path)[:300]


def _status_word(status: int) -> str:
    exact = str(status)
    return exact if exact in metrics.FAMILIES["halo_requests_total"].values else f"{exact[0]}xx"


class AccessLog:
    """Logs each request once it was answered; health checks only when they fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        metrics.count("halo_requests_total", _status_word(response.status_code))
        if response.status_code >= 500 or not request.path_info.startswith("/health/"):
            log.info(
                "request",
                method=request.method,
                path=safe_path(request.path_info),
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
        return response
