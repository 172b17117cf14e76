"""Refusing what would be refused anyway, before key and body are looked at, at a tenth of the cost."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from conversations import admission
from halo.api.exceptions import bare_response
from halo.errors import Unavailable

# What makes turns. Whatever else visitors may ask for is answered under load too.
PATHS = frozenset({"/api/sdk/chat", "/api/sdk/chat/stream"})


class Door:
    """The first middleware behind the one that gives requests their ids; logs no line a refusal, but counts them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in PATHS or request.method != "POST":
            return self.get_response(request)
        try:
            admission.knock(may_be_known="HTTP_IDEMPOTENCY_KEY" in request.META)
        except Unavailable as refused:
            response = bare_response(refused.status, request_id=request.halo_request_id)  # type: ignore[attr-defined]
            response["Retry-After"] = str(refused.retry_after)
            response["Content-Length"] = str(len(response.content))
            return response
        with admission.held_request():
            return self.get_response(request)
