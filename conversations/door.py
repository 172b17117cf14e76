"""Refusing what would be refused anyway, before key and body are looked at."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from conversations import admission
from halo.api.exceptions import bare_response
from halo.errors import Unavailable

# What makes turns, and what reads one as it is answered. Whatever else visitors may ask for is answered under load too.
PATHS = frozenset({"/api/sdk/chat", "/api/sdk/chat/stream"})
READ_ALONG = re.compile(r"/api/sdk/chat/turns/[^/]+/stream")


class Door:
    """The first middleware behind the one that gives requests their ids; logs no line a refusal, but counts them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reads_along = request.method == "GET" and READ_ALONG.fullmatch(request.path_info) is not None
        if not reads_along and (request.path_info not in PATHS or request.method != "POST"):
            return self.get_response(request)
        try:
            admission.knock(may_be_known=reads_along or "HTTP_IDEMPOTENCY_KEY" in request.META)
        except Unavailable as refused:
            response = bare_response(refused.status, request_id=request.halo_request_id)  # type: ignore[attr-defined]
            response["Retry-After"] = str(refused.retry_after)
            response["Content-Length"] = str(len(response.content))
            # Django would log an error for it, which cost more than the refusal itself.
            response._has_been_logged = True  # type: ignore[attr-defined]
            return response
        admission.hold()
        try:
            answered = self.get_response(request)
        except BaseException:
            admission.let_go()
            raise
        if answered.streaming:
            # The thread is held until the last byte has left, or the client has.
            answered._resource_closers.append(admission.let_go)  # type: ignore[attr-defined]
        else:
            admission.let_go()
        return answered
